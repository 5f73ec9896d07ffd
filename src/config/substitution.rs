//! `${NAME}` in string values: replaced by the environment variable of that name. `$${` is a literal `${`.
//!
//! What was replaced is never written to a message: only the names are.

use std::env::VarError;

/// A string value of the file.
#[derive(Clone)]
pub(super) struct Text {
    /// With every variable replaced.
    pub value: String,
    /// As it stands in the file: safe to print.
    pub written: String,
    /// Whether any variable was named in it.
    pub from_env: bool,
    /// Whether it is nothing but variables.
    pub only_env: bool,
}

/// Replaces every `${NAME}`. The error is a message and a hint for each variable that could not be replaced.
pub(super) fn fill(
    written: &str,
    env: &dyn Fn(&str) -> Result<String, VarError>,
) -> Result<Text, Vec<(String, String)>> {
    let mut text = Text { value: String::new(), written: written.to_owned(), from_env: false, only_env: true };
    let mut wrong = Vec::new();
    let mut rest = written;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            text.literal(before);
            text.literal("${");
            rest = &after[2..];
            continue;
        }
        text.literal(before);
        let Some((name, tail)) = after[2..].split_once('}').filter(|(name, _)| is_name(name)) else {
            wrong.push((
                "${ without a variable's name and }".to_owned(),
                "write ${NAME}, or $${ for a literal ${".to_owned(),
            ));
            return Err(wrong);
        };
        text.from_env = true;
        match env(name) {
            Ok(value) => text.value.push_str(&value),
            Err(error) => wrong.push(unset(name, &error)),
        }
        rest = tail;
    }
    text.literal(rest);
    if wrong.is_empty() { Ok(text) } else { Err(wrong) }
}

impl Text {
    fn literal(&mut self, part: &str) {
        self.only_env &= part.is_empty();
        self.value.push_str(part);
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unset(name: &str, error: &VarError) -> (String, String) {
    let state = match error {
        VarError::NotPresent => "is not set",
        VarError::NotUnicode(_) => "is not UTF-8",
    };
    let hint = format!("set {name} where the agent is started: EnvironmentFile= of its unit, env: of its container");
    (format!("environment variable {name} {state}"), hint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Result<String, VarError> {
        if name == "A" { Ok("${B}".to_owned()) } else { Err(VarError::NotPresent) }
    }

    fn value(written: &str) -> Option<String> {
        fill(written, &env).ok().map(|text| text.value)
    }

    #[test]
    fn what_a_variable_holds_is_not_replaced_again() {
        assert_eq!(value("x${A}y").as_deref(), Some("x${B}y"));
    }

    #[test]
    fn a_doubled_dollar_is_a_literal() {
        assert_eq!(value("$${A}").as_deref(), Some("${A}"));
        assert_eq!(value("$5 and $$5").as_deref(), Some("$5 and $$5"));
    }

    #[test]
    fn every_variable_that_is_not_set_is_named() {
        let wrong = fill("${X}${A}${Y}", &env).err().map(|wrong| wrong.len());
        assert_eq!(wrong, Some(2));
    }

    #[test]
    fn what_is_not_closed_is_a_mistake() {
        assert_eq!(value("${A"), None);
        assert_eq!(value("${}"), None);
        assert_eq!(value("${a b}"), None);
    }

    #[test]
    fn only_variables_are_told_from_a_mixture() {
        assert_eq!(fill("${A}", &env).ok().map(|text| text.only_env), Some(true));
        assert_eq!(fill("x${A}", &env).ok().map(|text| text.only_env), Some(false));
        assert_eq!(fill("x", &env).ok().map(|text| (text.from_env, text.only_env)), Some((false, false)));
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_is_kept(written in "[^$]*") {
            prop_assert_eq!(value(&written), Some(written));
        }

        #[test]
        fn no_text_panics(written in "[${}A-C ]*") {
            let _ = fill(&written, &env);
        }
    }
}
