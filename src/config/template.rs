//! Values of headers that say something of the batch that they are sent with: `{origin}`, `{first}`, `{last}`, `{count}`.

use std::fmt::Write;

use super::nearest;

/// A text with places in it; `{{` and `}}` are literal braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What may stand between braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Origin,
    First,
    Last,
    Count,
}

const PLACES: [(&str, Place); 4] =
    [("origin", Place::Origin), ("first", Place::First), ("last", Place::Last), ("count", Place::Count)];

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The trail's name.
    pub origin: &'a str,
    /// The batch's first line.
    pub first: u64,
    /// Its last.
    pub last: u64,
    /// How many there are.
    pub count: u64,
}

impl Template {
    /// `None` of a text without braces, which needs none of this. The error is a message and a hint.
    pub fn read(text: &str) -> Option<Result<Self, (String, String)>> {
        text.contains(['{', '}']).then(|| parts(text).map(|parts| Template { parts }))
    }

    /// The value for one batch.
    pub fn fill(&self, facts: &Facts<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            // Writing to a string cannot fail.
            let _ = match part {
                Part::Text(text) => out.write_str(text),
                Part::Place(Place::Origin) => out.write_str(facts.origin),
                Part::Place(Place::First) => write!(out, "{}", facts.first),
                Part::Place(Place::Last) => write!(out, "{}", facts.last),
                Part::Place(Place::Count) => write!(out, "{}", facts.count),
            };
        }
        out
    }
}

fn parts(text: &str) -> Result<Vec<Part>, (String, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        parts.push(Part::Text(before.to_owned()));
        if let Some(brace) = ["{{", "}}"].into_iter().find(|pair| from.starts_with(pair)) {
            parts.push(Part::Text(brace[1..].to_owned()));
            rest = &from[2..];
            continue;
        }
        let inside = from.strip_prefix('{').and_then(|from| from.split_once('}'));
        let Some((name, after)) = inside else {
            return Err((
                "a brace without its other half".to_owned(),
                "write {origin}, or {{ and }} for literal braces".to_owned(),
            ));
        };
        let Some((_, place)) = PLACES.iter().find(|(known, _)| *known == name) else {
            let hint = nearest::hint(name, PLACES.iter().map(|(known, _)| *known));
            return Err((format!("{{{name}}} stands for nothing"), hint));
        };
        parts.push(Part::Place(*place));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FACTS: Facts<'static> = Facts { origin: "acme/db", first: 7, last: 9, count: 2 };

    fn filled(text: &str) -> Option<String> {
        Template::read(text)?.ok().map(|template| template.fill(&FACTS))
    }

    #[test]
    fn places_are_filled_and_doubled_braces_are_literal() {
        assert_eq!(filled("{origin}:{first}-{last} ({count})").as_deref(), Some("acme/db:7-9 (2)"));
        assert_eq!(filled("{{first}} {{{first}}}").as_deref(), Some("{first} {7}"));
    }

    #[test]
    fn a_text_without_braces_is_no_template() {
        assert_eq!(Template::read("plain"), None);
    }

    #[test]
    fn what_stands_for_nothing_is_a_mistake() {
        for text in ["{frist}", "{", "a}", "{}", "{first"] {
            assert!(Template::read(text).is_some_and(|read| read.is_err()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[{}a-z]*") {
            let _ = filled(&text);
        }
    }
}
