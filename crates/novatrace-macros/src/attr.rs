//! What stands in an attribute. Does not belong here: the function it stands on.

use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, LitStr, Result, Token, parenthesized};

/// Which attribute it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Function,
    Arguments,
}

/// What the attribute asks for.
pub(crate) struct Options {
    pub(crate) which: Which,
    pub(crate) name: Option<LitStr>,
    pub(crate) category: Option<LitStr>,
    pub(crate) track: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skips_all: bool,
}

impl Options {
    /// The parser for an attribute.
    pub(crate) fn parse(which: Which) -> impl Parser<Output = Self> {
        move |input: ParseStream<'_>| Self::parse_as(which, input)
    }

    fn parse_as(which: Which, input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self {
            which,
            name: None,
            category: None,
            track: None,
            skip: Vec::new(),
            skips_all: false,
        };
        while !input.is_empty() {
            if input.peek(LitStr) {
                return Err(input.error("a name is given as `name = \"…\"`"));
            }
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "name" => set(&mut options.name, &key, input)?,
                "category" => set(&mut options.category, &key, input)?,
                "track" => set(&mut options.track, &key, input)?,
                "skip" if which == Which::Arguments => {
                    let content;
                    parenthesized!(content in input);
                    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
                    options.skip.extend(names);
                }
                "skip_all" if which == Which::Arguments => options.skips_all = true,
                "skip" | "skip_all" => {
                    let message = "`trace_func` records no arguments; `trace_func_args` does";
                    return Err(syn::Error::new(key.span(), message));
                }
                _ => {
                    let known = match which {
                        Which::Function => "`name`, `category` and `track`",
                        Which::Arguments => "`name`, `category`, `track`, `skip` and `skip_all`",
                    };
                    let message = format!("unknown option `{key}`: there are {known}");
                    return Err(syn::Error::new(key.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// Parses `= value`.
fn set<T: syn::parse::Parse>(
    option: &mut Option<T>,
    key: &Ident,
    input: ParseStream<'_>,
) -> Result<()> {
    input.parse::<Token![=]>()?;
    if option.replace(input.parse()?).is_some() {
        return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}
