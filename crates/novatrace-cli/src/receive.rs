//! `novatrace receive`. NOT: the streams, which are in the library.

use std::io::{self, Write};
use std::sync::mpsc;

use anyhow::Result;
use novatrace::{Received, Receiver};

use crate::args::Receive;
use crate::units::{bytes, float};

pub(crate) fn run(receive: &Receive) -> Result<()> {
    let receiver = Receiver::bind(&receive.listen, &receive.out)?;
    for address in receiver.addresses() {
        remark(receive, &format!("listening at {address}"));
    }
    let (say, said) = mpsc::channel();
    let for_receiver = say.clone();
    std::thread::spawn(move || {
        let outcome = receiver.run(move |received| {
            let _ = for_receiver.send(Ok(received));
        });
        let _ =
            say.send(outcome.map(|()| Received::Refused { why: "the listeners ended".to_owned() }));
    });
    let mut completed = 0;
    for received in said {
        match received? {
            Received::Began { path } => remark(receive, &format!("{}: begun", path.display())),
            Received::Completed { path, bytes: size, lost } => {
                let lost = if lost > 0 {
                    format!("; {lost} batches at its end were lost by the program")
                } else {
                    String::new()
                };
                let size = bytes(float(size));
                remark(receive, &format!("{}: complete, {size}{lost}", path.display()));
                let mut out = io::stdout().lock();
                writeln!(out, "{}", path.display())?;
                out.flush()?;
                completed += 1;
            }
            Received::Paused { path, why } => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                remark(receive, &format!("{}: connection lost{why}", path.display()));
            }
            Received::Refused { why } => remark(receive, &format!("refused: {why}")),
            _ => {}
        }
        if receive.count.is_some_and(|count| completed >= count) {
            return Ok(());
        }
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "results go to standard output")]
fn remark(receive: &Receive, text: &str) {
    if !receive.quiet {
        eprintln!("{text}");
    }
}
