//! What a server's questions (keyboard-interactive, RFC 4256) are answered with. Pure.

use russh::client::Prompt;

use crate::secret::Secret;

/// What was asked so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    password_given: bool,
    rounds: usize,
}

/// More rounds than any server has; one that goes on asking is not waited for.
const ROUNDS: usize = 10;

/// The answers to one round of questions: none to none (section 3.4 allows it, servers do it to show a text), the
/// password to one hidden question, once.
///
/// # Errors
/// Why they cannot be answered, with the question.
pub(super) fn answers(
    asked: &mut Asked,
    prompts: &[Prompt],
    password: &Secret,
) -> Result<Vec<String>, String> {
    asked.rounds += 1;
    if asked.rounds > ROUNDS {
        return Err("the server does not stop asking".into());
    }
    match prompts {
        [] => Ok(Vec::new()),
        [only] if only.echo => Err(format!("the server asks {} and would show the answer", shown(only))),
        [only] if asked.password_given => {
            Err(format!("the server took the password and asks {} as well", shown(only)))
        }
        [_] => {
            asked.password_given = true;
            Ok(vec![password.expose().to_owned()])
        }
        [first, rest @ ..] => Err(format!(
            "the server asks {} questions at once, the first is {}",
            rest.len() + 1,
            shown(first)
        )),
    }
}

fn shown(prompt: &Prompt) -> String {
    let text: String = prompt.prompt.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect();
    format!("{:?}", text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, echo: bool) -> Prompt {
        Prompt { prompt: text.into(), echo }
    }

    #[test]
    fn a_password_is_given_once_to_one_hidden_question() {
        let password = Secret::new("p4ss");
        let mut asked = Asked::default();
        assert_eq!(answers(&mut asked, &[], &password), Ok(vec![]));
        assert_eq!(answers(&mut asked, &[prompt("Password: ", false)], &password), Ok(vec!["p4ss".into()]));
        assert_eq!(answers(&mut asked, &[], &password), Ok(vec![]));
        let again = answers(&mut asked, &[prompt("Code\r\n: ", false)], &password).unwrap_err();
        assert!(again.contains("took the password and asks \"Code  :\""), "{again}");
    }

    #[test]
    fn what_a_password_is_no_answer_to_is_not_answered() {
        for prompts in
            [vec![prompt("User: ", true)], vec![prompt("Password: ", false), prompt("Code: ", false)]]
        {
            let problem = answers(&mut Asked::default(), &prompts, &Secret::new("p4ss")).unwrap_err();
            assert!(problem.starts_with("the server asks") && !problem.contains("p4ss"), "{problem}");
        }
    }

    #[test]
    fn a_server_that_goes_on_asking_is_left() {
        let mut asked = Asked::default();
        let mut ask = || answers(&mut asked, &[], &Secret::new("p4ss"));
        assert_eq!((0..ROUNDS).filter(|_| ask().is_ok()).count(), ROUNDS);
        assert!(ask().is_err());
    }
}
