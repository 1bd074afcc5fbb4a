//! The stub's docstrings, a file each, for `#[doc = stub!(…)]`: so that `help()` says what an editor does, and there
//! is one text. `python/tests/test_package.py` compares the two, and finds what has been forgotten.
//! And what is known of the interpreter, for `cfg`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const STUB: &str = "../../python/novatrace/_novatrace.pyi";

fn main() -> Result<(), Box<dyn Error>> {
    // Whether the interpreter has its lock.
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo::rerun-if-changed={STUB}");
    let folder = PathBuf::from(env::var("OUT_DIR")?).join("stub");
    fs::create_dir_all(&folder)?;
    split(&fs::read_to_string(STUB)?, &folder)?;
    Ok(())
}

/// Writes each docstring into a file of its class's and function's name.
fn split(stub: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (mut class, mut name) = (None, String::new());
    let mut lines = stub.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let defined = |keyword| {
            let rest = text.strip_prefix(keyword)?;
            rest.split(|char: char| !char.is_alphanumeric() && char != '_').next()
        };
        if let Some(defined) = defined("class ") {
            (class, name) = (Some(defined), defined.to_owned());
        } else if let Some(defined) = defined("def ") {
            if indent == 0 {
                class = None;
            }
            name = class.map_or_else(|| defined.to_owned(), |class| format!("{class}.{defined}"));
        } else if let Some(first) = text.strip_prefix("\"\"\"")
            && !name.is_empty()
        {
            let mut docstring = first.to_owned();
            while !docstring.contains("\"\"\"") {
                let line = lines.next().ok_or("a docstring does not end")?;
                docstring.push('\n');
                docstring.push_str(line.get(indent..).unwrap_or_default());
            }
            let docstring = docstring.split("\"\"\"").next().unwrap_or_default();
            fs::write(folder.join(&name), docstring.trim_end())?;
        }
    }
    Ok(())
}
