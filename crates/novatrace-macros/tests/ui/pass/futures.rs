//! Functions that are `async`, without a warning; what `?`, `return` and coercions mean stays.
#![deny(warnings)]

use std::error::Error;
use std::fmt::Display;
use std::future::Future;

use novatrace::{InSpanExt, in_span, trace_func, trace_func_args};

#[trace_func]
async fn nothing() {}

#[trace_func]
#[allow(dead_code)]
async fn diverges() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

#[trace_func_args]
async fn returns_boxed(early: bool, mut number: u32) -> Box<dyn Display + Send> {
    number += 1;
    if early {
        return Box::new(number);
    }
    Box::new("late")
}

#[trace_func]
async fn fails(text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        Err("empty")?;
        return Err("never here".into());
    }
    Ok(text.parse()?)
}

#[trace_func]
async fn gives_impl(text: &str) -> Result<impl Display + use<'_>, std::num::ParseIntError> {
    let number: u32 = text.parse()?;
    if number == 0 {
        return Ok((text, number).0);
    }
    Ok("other")
}

#[trace_func_args(skip(value))]
async fn generic<'a, T, const N: usize>(value: &'a [T; N], from: usize) -> Option<&'a T>
where
    T: Sync,
{
    value.get(from)
}

struct Owner {
    text: String,
}

impl Owner {
    #[trace_func]
    async fn borrowed(&mut self) -> &mut String {
        nothing().await;
        self.text.push('!');
        &mut self.text
    }

    #[trace_func(name = "consumed", category = "chosen")]
    async fn consumed(self) -> String {
        self.text
    }

    #[trace_func_args]
    async fn recurses(&self, depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + Box::pin(self.recurses(depth - 1)).await }
    }
}

trait Fetch {
    fn fetch(&self, id: u32) -> impl Future<Output = u32> + Send;

    #[allow(async_fn_in_trait)]
    #[trace_func]
    async fn twice(&self, id: u32) -> u32 {
        2 * self.fetch(id).await
    }
}

impl Fetch for Owner {
    #[trace_func_args]
    async fn fetch(&self, id: u32) -> u32 {
        id + self.recurses(1).await
    }
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("never pending"),
    }
}

fn main() {
    block_on(nothing());
    assert_eq!(block_on(is_send(returns_boxed(true, 1))).to_string(), "2");
    assert_eq!(block_on(returns_boxed(false, 1)).to_string(), "late");
    assert_eq!(block_on(is_send(fails("7"))).unwrap(), 7);
    assert_eq!(block_on(fails("")).unwrap_err().to_string(), "empty");
    assert_eq!(block_on(gives_impl("0")).unwrap().to_string(), "0");
    assert_eq!(block_on(is_send(generic(&[1, 2], 1))), Some(&2));
    let mut owner = Owner { text: "a".to_owned() };
    assert_eq!(block_on(owner.borrowed()), "a!");
    assert_eq!(block_on(is_send(owner.fetch(1))), 2);
    assert_eq!(block_on(owner.twice(1)), 4);
    assert_eq!(block_on(owner.consumed()), "a!");
    let id = 1;
    assert_eq!(block_on(is_send(in_span!(async { id }, "id", id = id))), 1);
    assert_eq!(block_on(is_send(async { 2 }.in_span("two"))), 2);
}
