//! The documentation is held against the code: every fault code, link, command line and example in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outport_core::{Retry, code};
use outport_tests::child::Stream;
use outport_tests::process::Outport;

/// The repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A page, taken apart: prose by paragraph, and the lines of its code blocks.
struct Page {
    path: PathBuf,
    prose: Vec<String>,
    code: Vec<String>,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let (mut prose, mut code, mut in_code) = (vec![String::new()], Vec::new(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if in_code {
                code.push(line.trim().to_owned());
            } else if line.trim().is_empty() {
                prose.push(String::new());
            } else if let Some(paragraph) = prose.last_mut() {
                paragraph.push_str(line);
                paragraph.push(' ');
            }
        }
        assert!(!in_code, "{}: a code block does not end", path.display());
        Self { path, prose, code }
    }

    /// README, CONTRIBUTING and everything below docs.
    fn all() -> Vec<Self> {
        let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
        let mut folders = vec![root().join("docs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ext| ext == "md") {
                    pages.push(path);
                }
            }
        }
        pages.into_iter().map(Self::read).collect()
    }

    /// The targets of its links, code spans left out.
    fn links(&self) -> Vec<String> {
        let outside = |paragraph: &String| paragraph.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let mut links = Vec::new();
        for paragraph in self.prose.iter().map(outside) {
            links.extend(
                paragraph.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())),
            );
        }
        links
    }

    /// Every command line that begins with `outport`, in code blocks and in code spans.
    fn commands(&self) -> Vec<String> {
        let spans = self.prose.iter().flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
        let lines = self.code.iter().map(String::as_str);
        spans
            .chain(lines)
            .map(command)
            .filter(|line| line.starts_with("outport "))
            .map(str::to_owned)
            .collect()
    }
}

/// A line without what may stand before the program's name: a prompt, variables, `sudo -u USER`.
fn command(line: &str) -> &str {
    let mut rest = line.trim().trim_start_matches("$ ");
    while let Some((word, after)) = rest.split_once(' ') {
        rest = match word {
            "sudo" => after,
            "-u" => after.split_once(' ').map_or("", |(_, after)| after),
            word if word.contains('=') => after,
            _ => return rest,
        };
    }
    rest
}

/// What is wrong with the tables of ERRORS.md: `| code | class | tried again | cause | what to do |`.
fn problems_of_errors(page: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut described = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, class, again, cause, hint, _] = cells[..] else {
            problems.push(format!("not five cells: {line}"));
            continue;
        };
        let name = name.trim_matches('`');
        let Some(known) = code::ALL.iter().find(|known| known.name == name) else {
            problems.push(format!("{name} is no code"));
            continue;
        };
        if !described.insert(name) {
            problems.push(format!("{name} stands twice"));
        }
        if class != known.class.as_str() {
            problems.push(format!("{name} is of class {}, not {class}", known.class));
        }
        let word = match known.retry {
            Retry::Later => "later",
            Retry::Once => "once more",
            Retry::Never => "never",
            Retry::Operator => "after you act",
        };
        if !again.starts_with(word) {
            problems.push(format!("{name} is tried again {word:?}, not {again:?}"));
        }
        if cause.is_empty() || hint.is_empty() {
            problems.push(format!("{name} has no cause or nothing to do"));
        }
    }
    let missing = code::ALL.iter().filter(|known| !described.contains(known.name));
    problems.extend(missing.map(|known| format!("{} is missing", known.name)));
    problems
}

#[test]
fn every_fault_code_is_described_as_it_is() {
    let page = std::fs::read_to_string(root().join("docs/ERRORS.md")).unwrap();
    assert_eq!(problems_of_errors(&page), [""; 0]);

    let wrong = page.replacen("| `endpoint.dns` | endpoint |", "| `endpoint.dns` | remote |", 1).replacen(
        "| `json.empty` |",
        "| `json.nothing` |",
        1,
    );
    let found = problems_of_errors(&wrong);
    let expected =
        ["endpoint.dns is of class endpoint, not remote", "json.nothing is no code", "json.empty is missing"];
    assert_eq!(BTreeSet::from_iter(found.iter().map(String::as_str)), BTreeSet::from(expected));
}

/// The anchors that the headings of a page get.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_linked() {
    let pages = Page::all();
    let mut problems = Vec::new();
    let mut linked = BTreeSet::new();
    for page in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => page.path.with_file_name(file),
            };
            let Ok(target) = target.canonicalize() else {
                problems.push(format!("{}: {link} is not there", page.path.display()));
                continue;
            };
            if !anchor.is_empty() && !anchors(&target).contains(anchor) {
                problems.push(format!("{}: {link} has no such heading", page.path.display()));
            }
            linked.insert(target);
        }
    }
    // A page is found from the README, or from the list in its folder.
    for page in &pages {
        let path = page.path.canonicalize().unwrap();
        let is_list = path.ends_with("README.md");
        if !is_list && !linked.contains(&path) {
            problems.push(format!("no page links to {}", page.path.display()));
        }
    }
    assert_eq!(problems, [""; 0]);
}

/// Asks the binary itself what it understands.
struct Help {
    folder: tempfile::TempDir,
    known: BTreeMap<Vec<String>, Option<String>>,
}

impl Help {
    /// The help text of a command; `None` when there is no such command.
    fn of(&mut self, path: &[&str]) -> Option<String> {
        let key: Vec<String> = path.iter().map(|word| (*word).to_owned()).collect();
        let folder = self.folder.path();
        let ask = || {
            let finished = Outport::new(folder, path.iter().chain(&["--help"])).run().unwrap();
            (finished.code == Some(0)).then_some(finished.stdout)
        };
        self.known.entry(key).or_insert_with(ask).clone()
    }

    /// What is wrong with `outport ...`, if anything. `file|delivery list` stands for both.
    fn problem(&mut self, line: &str) -> Option<String> {
        let (words, options) = words_and_options(line);
        for noun in words.first()?.split('|') {
            let Some(help) = self.of(&[noun]) else { return Some(format!("no command {noun}")) };
            let verb = words.get(1).filter(|verb| help.contains("\nCommands:\n") && !is_placeholder(verb));
            let Some(verb) = verb else {
                if let Some(option) = options.iter().find(|option| !help.contains(option.as_str())) {
                    return Some(format!("no option {option}"));
                }
                continue;
            };
            for verb in verb.split('|') {
                let is_kind = outport_transform::kinds().iter().any(|kind| kind.name == verb);
                let is_by_hand = noun == "transform" && is_kind;
                let help = if is_by_hand {
                    help.clone()
                } else {
                    match help.contains(&format!("\n  {verb} ")) {
                        true => self.of(&[noun, verb])?,
                        false => return Some(format!("no command {noun} {verb}")),
                    }
                };
                // `intake dlq list`.
                let deeper = words.get(2).filter(|_| !is_by_hand && help.contains("\nCommands:\n"));
                let help = match deeper {
                    Some(third) if help.contains(&format!("\n  {third} ")) => {
                        self.of(&[noun, verb, third])?
                    }
                    Some(third) => return Some(format!("no command {noun} {verb} {third}")),
                    None => help,
                };
                if let Some(option) = options.iter().find(|option| !help.contains(option.as_str())) {
                    return Some(format!("no option {option}"));
                }
            }
        }
        None
    }
}

fn is_placeholder(word: &str) -> bool {
    word.contains("...") || word.chars().any(|c| c.is_uppercase())
}

/// Up to the end of the command: a comment, a pipe, the next command.
fn words_and_options(line: &str) -> (Vec<&str>, Vec<String>) {
    let (mut words, mut options) = (Vec::new(), Vec::new());
    let ends =
        |word: &&str| !(word.starts_with('#') || matches!(*word, "|" | "&&" | ">" | "2>" | "<" | "\\"));
    let mut rest = line.split_whitespace().skip(1).take_while(ends);
    while let Some(word) = rest.next() {
        let word = word.trim_matches(|c| matches!(c, '[' | ']'));
        if word.starts_with("--") {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            options.push(name.to_owned());
            // The two that may stand before the command take a value.
            if value.is_empty() && matches!(name, "--data" | "--config") {
                rest.next();
            }
        } else if !word.starts_with('-') {
            words.push(word);
        }
    }
    (words, options)
}

#[test]
fn every_command_line_is_understood() {
    let mut help = Help { folder: tempfile::tempdir().unwrap(), known: BTreeMap::new() };
    for wrong in [
        "outport upp",
        "outport file lsit",
        "outport file|filr list",
        "outport intake dlq lsit",
        "outport transform json-csv IN OUT",
        "outport apply --chek partners.toml",
        "OUTPORT_DATA=/x sudo -u outport outport --data /srv/x delivery list --sate failed",
    ] {
        assert!(help.problem(command(wrong)).is_some(), "{wrong} is wrong, and nobody noticed");
    }
    let mut problems = Vec::new();
    let mut seen = 0;
    for page in Page::all() {
        for line in page.commands() {
            seen += 1;
            if let Some(problem) = help.problem(&line) {
                problems.push(format!("{}: {line}: {problem}", page.path.display()));
            }
        }
    }
    assert_eq!(problems, [""; 0]);
    assert!(seen > 20, "only {seen} command lines were found");
}

#[test]
fn the_example_is_accepted_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let example = root().join("docs/examples/partners.toml").canonicalize().unwrap();
    let apply = |option: &str| {
        let arguments = ["apply".into(), option.into(), example.clone().into_os_string()];
        let arguments = arguments.into_iter().filter(|argument: &std::ffi::OsString| !argument.is_empty());
        let finished = Outport::new(folder.path(), arguments).run().unwrap();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished
    };
    let planned = apply("--check").stdout;
    for noun in ["file group", "rule", "transform", "subscriber", "endpoint", "subscription"] {
        assert!(planned.contains(&format!("+ create {noun} ")), "no {noun} in: {planned}");
    }
    assert_eq!(apply("").stdout, planned, "what was planned is what was done");
    let again = apply("");
    assert_eq!((again.stdout.as_str(), again.stderr.trim()), ("", "nothing to change"));
}

/// The words of all pages and examples that begin with `start`, and everything after it that `part` takes.
fn words_in_docs(start: &str, part: fn(char) -> bool) -> BTreeSet<String> {
    let mut texts: Vec<PathBuf> = Page::all().into_iter().map(|page| page.path).collect();
    texts.push(root().join("docs/examples/outport.service"));
    let mut words = BTreeSet::new();
    for text in texts.into_iter().map(|path| std::fs::read_to_string(path).unwrap()) {
        words.extend(text.match_indices(start).map(|(at, _)| {
            let rest = &text[at..];
            rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())].to_owned()
        }));
    }
    words
}

#[test]
fn every_variable_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let check = Outport::new(folder.path(), ["config", "check", "--json"]).run().unwrap();
    let settings: Vec<serde_json::Value> = serde_json::from_str(&check.stdout).unwrap();
    let mut known: BTreeSet<String> = settings
        .iter()
        .map(|setting| setting["key"].as_str().unwrap())
        .map(|key| format!("OUTPORT_{}", key.to_uppercase().replace('.', "_")))
        .collect();
    known.insert("OUTPORT_CONFIG".into());
    // Who acts: of the command line alone.
    known.insert("OUTPORT_ACTOR".into());
    let used = words_in_docs("OUTPORT_", |c| c.is_ascii_uppercase() || c == '_');
    assert!(used.len() > 5, "{used:?}");
    // Those of the test harness are not the binary's.
    let unknown = used.difference(&known).filter(|name| !name.starts_with("OUTPORT_TEST_"));
    assert_eq!(unknown.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_metric_is_described_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let up = Outport::new(folder.path(), ["up"]).env("OUTPORT_HEALTH_LISTEN", "127.0.0.1:0");
    let mut up = up.start().unwrap();
    let limit = Duration::from_secs(30);
    let line = up.wait_for_line(Stream::Err, "outport is up", limit).unwrap();
    let address = line.split_once("health=").unwrap().1.split_whitespace().next().unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(limit)).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: outport\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    up.stop(limit).unwrap();

    let shown: BTreeSet<&str> = answer
        .lines()
        .filter(|l| l.starts_with("outport_"))
        .filter_map(|l| l.split([' ', '{']).next())
        .collect();
    let page = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter(|line| line.starts_with("outport_"))
        .filter_map(|line| line.split('`').next())
        .collect();
    assert!(!shown.is_empty(), "{answer}");
    assert_eq!(described, shown);
}
