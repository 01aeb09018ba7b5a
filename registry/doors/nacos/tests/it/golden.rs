//! Requests and whole answers, byte for byte, from `tests/golden`. Clients compare texts and count on members and their
//! order, so that a change here is a change for them.

use crate::harness::Nacos;

/// Asks all of a file in one registry, and writes down what was asked and answered.
async fn transcript(file: &str) -> String {
    let nacos = Nacos::start().await;
    let (comment, rest) = file.split_once("\n\n").expect("a file begins with a comment");
    let mut transcript = format!("{comment}\n");
    let methods = ["GET ", "POST ", "PUT ", "PATCH ", "DELETE "];
    for request in rest
        .lines()
        .filter(|line| methods.iter().any(|method| line.starts_with(method)))
    {
        let (head, body) = match request.split_once(" | ") {
            Some((head, body)) => (head, Some(body.as_bytes())),
            None => (request, None),
        };
        let (method, uri) = head.split_once(' ').expect("a method and a path");
        let answer = nacos.ask(method, uri, body).await;
        let (status, content_type) = (answer.status, &answer.content_type);
        let own = concat!("beatrix ", env!("CARGO_PKG_VERSION"));
        let text = without_times(answer.text.trim_end()).replace(own, "beatrix <version>");
        transcript += &format!(
            "\n{request}\n{}\n{text}\n",
            format!("{status} {content_type}").trim_end()
        );
    }
    transcript
}

/// Times are of the moment.
fn without_times(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(at);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        shown += before;
        // Milliseconds since 1970 have had this many digits since 2001.
        shown += if end == 13 { "<time>" } else { &digits[..end] };
        rest = &digits[end..];
    }
    shown += rest;
    let Some((before, after)) = shown.split_once("\"timestamp\":\"") else {
        return shown;
    };
    let end = after.find('"').unwrap_or_default();
    format!("{before}\"timestamp\":\"<timestamp>{}", &after[end..])
}

macro_rules! golden {
    ($($name:ident: $file:literal,)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            let file = include_str!(concat!("../golden/", $file));
            let found = transcript(file).await;
            // Not `assert_eq`: the whole is to be put into the file, if it is right.
            assert!(found == file, "{}: found\n{found}", $file);
        })*
    };
}

golden! {
    v1_answers_as_it_did: "v1.http",
    v2_answers_as_it_did: "v2.http",
    v3_answers_as_it_did: "v3.http",
    consoles_are_answered_as_they_were: "consoles.http",
}
