//! Functions that are not `async`, without a warning.
#![deny(warnings)]
#![warn(unused_qualifications, elided_lifetimes_in_paths)]

use std::fmt::{Debug, Display};
use std::pin::Pin;

use novatrace::{trace_func, trace_func_args};

#[trace_func]
fn diverges() -> ! {
    std::process::exit(0)
}

#[trace_func]
unsafe fn is_unsafe(at: *const u8) -> u8 {
    unsafe { at.read() }
}

#[trace_func]
unsafe extern "C" fn is_foreign(_: u8) {}

/// The documentation stays.
#[inline]
#[must_use]
#[track_caller]
#[trace_func(name = "renamed", category = "chosen",)]
pub fn has_attributes() -> u32 {
    #![allow(unused_variables)]
    let unused = 1;
    const ITEMS_COME_FIRST: u32 = 2;
    ITEMS_COME_FIRST
}

#[trace_func]
fn gives_impl<'a>(texts: &'a [String]) -> impl Iterator<Item = impl Display + 'a> + 'a {
    texts.iter().map(String::as_str)
}

#[trace_func]
fn gives_closure() -> impl Fn(u32) -> Box<dyn Display> {
    |number| if number > 1 { Box::new(number) } else { Box::new("few") }
}

#[trace_func_args(skip(function))]
fn takes_function<F, const N: usize>(mut numbers: [u32; N], function: F) -> [u32; N]
where
    F: Fn(&mut u32),
{
    numbers.iter_mut().for_each(function);
    numbers
}

#[trace_func_args(skip_all)]
fn skips_all<T>(value: T) -> T {
    value
}

#[trace_func_args]
fn generic<T: Debug + ?Sized>(value: &T, whole @ (_, _): (u8, u8)) -> bool {
    let _ = (value, whole);
    true
}

#[trace_func_args]
fn recurses(depth: u32) -> u32 {
    if depth == 0 { 0 } else { 1 + recurses(depth - 1) }
}

struct Owner<T>(T);

impl<T: Clone> Owner<T> {
    #[trace_func_args(skip(other))]
    fn swapped(self: Pin<&mut Self>, mut other: T) -> T
    where
        Self: Unpin,
    {
        std::mem::swap(&mut self.get_mut().0, &mut other);
        other
    }

    #[trace_func]
    fn borrowed(&mut self) -> &mut T {
        &mut self.0
    }

    #[trace_func]
    fn consumed(self) -> T {
        self.0
    }
}

trait Named {
    #[trace_func]
    fn name(&self) -> String {
        "default".to_owned()
    }
}

impl<T> Named for Owner<T> {}

macro_rules! function {
    ($name:ident, $argument:ident: $type:ty) => {
        #[trace_func_args]
        fn $name($argument: $type, own: u8) -> $type {
            $argument + <$type>::from(own)
        }
    };
}

function!(made, given: u32);

fn main() {
    assert_eq!(unsafe { is_unsafe(&7) }, 7);
    unsafe { is_foreign(1) };
    assert_eq!(has_attributes(), 2);
    assert_eq!(gives_impl(&["a".to_owned()]).next().unwrap().to_string(), "a");
    assert_eq!(gives_closure()(2).to_string(), "2");
    assert_eq!(takes_function([1, 2], |number| *number += 1), [2, 3]);
    skips_all(Owner(1));
    assert!(generic("text", (1, 2)) && recurses(3) == 3 && made(1, 2) == 3);
    let mut owner = Owner(4);
    assert_eq!(Pin::new(&mut owner).swapped(3), 4);
    *owner.borrowed() += 2;
    assert_eq!((owner.name().as_str(), owner.consumed()), ("default", 5));
    diverges()
}
