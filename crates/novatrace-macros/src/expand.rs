//! The function as it becomes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{AttrStyle, FnArg, Ident, ItemFn, LitStr, Pat, Result, ReturnType, Signature, Type};

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
    let name = options.name.as_ref().map_or_else(|| name_of(&sig.ident), LitStr::value);
    let category = options
        .category
        .as_ref()
        .map_or_else(|| quote!(::core::module_path!()), quote::ToTokens::to_token_stream);
    let said = said(&arguments(options, &sig)?);
    // The body stays a block, so that what the compiler says of it points where it did.
    let body = match (&options.track, sig.asyncness) {
        (None, None) => quote! {
            let _novatrace_span = ::novatrace::__site!(@ begin [#name] [] {#category} {#said});
            #block
        },
        (Some(track), None) => quote! {
            let _novatrace_span = ::novatrace::__site!(@ on_track [#name] [#track] {#category} {#said});
            #block
        },
        (_, Some(_)) => {
            let output = output_hint(&sig.output);
            quote! {
                let _novatrace_task = ::novatrace::__site!(@ task [#name] [] {#category} {#said});
                ::novatrace::__macro_support::InSpan::new(_novatrace_task, async move {
                    #output
                    #block
                })
                .await
            }
        }
    };
    let (outer, inner): (Vec<_>, Vec<_>) =
        attrs.iter().partition(|attribute| matches!(attribute.style, AttrStyle::Outer));
    Ok(quote! {
        #(#outer)*
        #vis #sig {
            #(#inner)*
            #body
        }
    })
}

/// A `return` that is never reached, for an `async` block: the first one decides its type, without
/// which `?` and the coercions of later ones would not be understood as they are in an `async fn`.
fn output_hint(output: &ReturnType) -> TokenStream {
    let mut ty = match output {
        ReturnType::Default => return quote!(),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    if matches!(ty, Type::Never(_)) {
        return quote!();
    }
    let span = ty.span();
    Unnamed.visit_type_mut(&mut ty);
    quote_spanned! {span=>
        #[allow(clippy::needless_return, clippy::let_with_type_underscore)]
        if false {
            return ::novatrace::__macro_support::never::<#ty>();
        }
    }
}

/// Puts `_` in the place of each `impl Trait`, which has no name within a body.
struct Unnamed;

impl VisitMut for Unnamed {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if matches!(ty, Type::ImplTrait(_)) {
            *ty =
                Type::Infer(syn::TypeInfer { underscore_token: syn::token::Underscore::default() });
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// What the function is called, without the `r#` of a raw identifier.
fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

/// What `trace!` makes of its arguments; written here, since what the compiler says of a value that
/// cannot be recorded then points at the argument.
fn said(arguments: &[Ident]) -> TokenStream {
    let nothing = quote!(::novatrace::__macro_support::Said::nothing());
    arguments.iter().fold(nothing, |said, argument| {
        let key = name_of(argument);
        quote_spanned! {argument.span()=>
            (&&&::novatrace::__macro_support::Value(&#argument)).add(#said, {
                static KEY: ::novatrace::__macro_support::LazyName =
                    ::novatrace::__macro_support::LazyName::new(#key);
                KEY.get()
            })
        }
    })
}

/// The arguments that are recorded.
fn arguments(options: &Options, sig: &Signature) -> Result<Vec<Ident>> {
    if options.which == Which::Function || options.skips_all {
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
    Ok(named)
}
