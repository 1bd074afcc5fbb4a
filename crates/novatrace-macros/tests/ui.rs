//! What the attributes take, and what they say where they cannot: at the token that is to be changed.

#[test]
fn forms_that_are_taken_and_messages_for_those_that_are_not() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
