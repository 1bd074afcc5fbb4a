//! The function as it becomes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, ItemFn, Pat, Result, Signature};

use crate::attr::{Options, Which};

/// The function `item` with a span around its body.
pub(crate) fn expand(options: &Options, item: TokenStream) -> Result<TokenStream> {
    let ItemFn { attrs, vis, sig, block } = syn::parse2(item).map_err(|error| {
        syn::Error::new(error.span(), "only functions with a body can be traced")
    })?;
    if let Some(constness) = sig.constness {
        let message = "a `const fn` cannot be traced: its body may run in the compiler";
        return Err(syn::Error::new(constness.span(), message));
    }
    if let (Some(track), Some(_)) = (&options.track, sig.asyncness) {
        let message = "an `async fn` is drawn on a track of its task's, not on one of your own";
        return Err(syn::Error::new(track.span(), message));
    }
    let said = said(options, &sig)?;
    let statements = &block.stmts;
    let body = match (&options.track, sig.asyncness) {
        (None, None) => quote! {
            let _novatrace_span = ::novatrace::trace!(#said);
            #(#statements)*
        },
        (Some(track), None) => quote! {
            let _novatrace_span = ::novatrace::__track_span!(#track, #said);
            #(#statements)*
        },
        (_, Some(_)) => {
            let output = match &sig.output {
                syn::ReturnType::Default => quote!(()),
                // `impl Trait` cannot be named inside; it is inferred from what comes out.
                syn::ReturnType::Type(_, ty) if mentions_impl(ty) => quote!(_),
                syn::ReturnType::Type(_, ty) => quote!(#ty),
            };
            // The output is named, so that `?` and `return` are understood as they were.
            quote! {
                let _novatrace_task = ::novatrace::__task!(#said);
                ::novatrace::__macro_support::InSpan::new(_novatrace_task, async move {
                    let _novatrace_output: #output = { #(#statements)* };
                    #[allow(unreachable_code)]
                    _novatrace_output
                })
                .await
            }
        }
    };
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            #body
        }
    })
}

/// The inside of `trace!(…)`.
fn said(options: &Options, sig: &Signature) -> Result<TokenStream> {
    let name = if let Some(name) = &options.name {
        quote!(#name)
    } else {
        let name = sig.ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        quote!(#name)
    };
    let category = options.category.iter().map(|category| quote!(category = #category,));
    let arguments = arguments(options, sig)?;
    let arguments = arguments.iter().map(|argument| {
        // A key that is no special word of `trace!`, and an error that points at the argument.
        let key = argument.to_string();
        quote_spanned!(argument.span()=> #key = #argument,)
    });
    Ok(quote!(#name, #(#category)* #(#arguments)*))
}

/// The arguments that are recorded.
fn arguments(options: &Options, sig: &Signature) -> Result<Vec<Ident>> {
    if options.which == Which::Function {
        return Ok(Vec::new());
    }
    let mut named = Vec::new();
    for input in &sig.inputs {
        if let FnArg::Typed(input) = input
            && let Pat::Ident(pattern) = &*input.pat
        {
            named.push(pattern.ident.clone());
        }
    }
    if let Some(stranger) = options.skip.iter().find(|skipped| !named.contains(skipped)) {
        let message = format!("the function has no argument `{stranger}`");
        return Err(syn::Error::new(stranger.span(), message));
    }
    named.retain(|name| !options.skip.contains(name) && !name.to_string().starts_with('_'));
    // Hygiene: the names are the function's own.
    for name in &mut named {
        name.set_span(name.span().resolved_at(Span::call_site()).located_at(name.span()));
    }
    Ok(named)
}

fn mentions_impl(ty: &syn::Type) -> bool {
    // Looked for in the tokens: an `impl` may stand at any depth.
    fn among(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Group(group) => among(group.stream()),
            proc_macro2::TokenTree::Ident(ident) => ident == "impl",
            _ => false,
        })
    }
    among(quote!(#ty))
}
