//! The house is as ARCHITECTURE.md says: rooms, directions, invariants, sizes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Files below a folder with one of these extensions, without build output and hidden folders.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "caudal-data" {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    files(&root().join("crates"), &["rs"])
}

/// Sources that ship: no tests, no examples.
fn production() -> Vec<PathBuf> {
    let outside =
        |path: &PathBuf| !path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "examples");
    sources().into_iter().filter(outside).collect()
}

/// The part of a file above its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// The manifests of all packages; that of a workspace alone is none.
fn manifests() -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.ends_with("Cargo.toml") && read(path).contains("[package]");
    files(&root().join("crates"), &["toml"]).into_iter().filter(named).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").display().to_string()
}

/// The cells of each row of the table below `heading` whose first cell is a code span.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let section = text.split(heading).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let lines = section.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    lines.map(cells).filter(|row| row[0].starts_with('`')).collect()
}

fn code_spans(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_map_names_every_room_and_no_other() {
    let named: BTreeSet<String> =
        table("## The picture").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    for room in &named {
        assert!(root().join(room).is_dir(), "ARCHITECTURE.md names {room}, which is not there");
    }
    for manifest in manifests() {
        let room = relative(manifest.parent().expect("a folder"));
        assert!(named.contains(&room), "ARCHITECTURE.md does not name {room}");
    }
}

#[test]
fn crates_use_only_the_crates_that_the_map_allows() {
    let allowed: Vec<(String, BTreeSet<String>)> = table("## Directions")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), code_spans(&row[1])))
        .collect();
    let mut seen = 0;
    for manifest in manifests() {
        let text = read(&manifest);
        let name = text
            .lines()
            .find_map(|l| l.strip_prefix("name = "))
            .expect("a name")
            .trim_matches('"')
            .to_owned();
        let (_, allowed) =
            allowed.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no direction for {name}"));
        for used in
            text.lines().filter_map(|l| l.split(['.', ' ', '=']).next()).filter(|d| d.starts_with("caudal-"))
        {
            assert!(allowed.contains(used), "{name} uses {used}, which ARCHITECTURE.md does not allow");
        }
        seen += 1;
    }
    assert_eq!(seen, allowed.len());
}

#[test]
fn every_source_file_opens_with_the_sentence_that_says_what_it_is_for() {
    for path in sources() {
        let text = read(&path);
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > 20, "{} opens with {first:?}", relative(&path));
    }
}

#[test]
fn what_only_one_place_may_do_is_done_in_no_other() {
    let only = |needle: &str, homes: &[&str]| {
        for path in production() {
            let name = relative(&path);
            if !homes.iter().any(|home| name.starts_with(home)) {
                assert!(
                    !without_tests(&read(&path)).contains(needle),
                    "{name} has {needle:?}, which only {homes:?} may"
                );
            }
        }
    };
    only("unsafe {", &["crates/kernels/"]);
    only("unsafe fn", &["crates/kernels/"]);
    for key in ["\"normalized_data", "\"gpu_results", "\"spark_results/", "\"analysis_results", "\"active"] {
        only(key, &["crates/storage/src/keys.rs"]);
    }
    only("env::var", &["crates/app/src/settings.rs"]);
    only("StatusCode::UNPROCESSABLE_ENTITY", &["crates/gateway/src/problem.rs"]);
    only("Bucket::open_folder", &["crates/app/src/compose.rs", "crates/app/src/store.rs"]);
    only("println!", &["crates/caudal/src/cli/"]);
    only("process::exit", &[]);
    for left_over in ["todo!(", "unimplemented!(", "dbg!(", "TODO", "FIXME"] {
        only(left_over, &[]);
    }
}

#[test]
fn every_error_kind_has_its_page() {
    for kind in caudal_core::ErrorKind::ALL {
        let page = root().join("docs/errors").join(format!("{}.md", kind.code()));
        let text = read(&page);
        assert!(
            text.contains(kind.title()),
            "{} does not carry the title {:?}",
            page.display(),
            kind.title()
        );
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    for path in files(&root(), &["md"]) {
        for link in read(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let there = path.parent().expect("a folder").join(target);
            assert!(there.exists(), "{} links to {target}, which is not there", relative(&path));
        }
    }
}

#[test]
fn files_and_functions_stay_readable() {
    let mut file_sizes = Vec::new();
    let mut function_sizes = Vec::new();
    let mut broken = Vec::new();
    for path in production() {
        let text = read(&path);
        let excused = text.lines().any(|l| l.trim_start().starts_with("// Size:"));
        let lines = without_tests(&text).lines().count();
        file_sizes.push(lines);
        if lines > 800 && !excused {
            broken.push(format!("{} has {lines} lines", relative(&path)));
        }
        for (name, length) in functions(without_tests(&text)) {
            function_sizes.push(length);
            if length > 80 && !excused {
                broken.push(format!("{}: {name} has {length} lines", relative(&path)));
            }
        }
    }
    let quantile = |sizes: &mut Vec<usize>, share: f64| {
        sizes.sort_unstable();
        sizes[((sizes.len() - 1) as f64 * share) as usize]
    };
    let (file_median, file_most) = (quantile(&mut file_sizes, 0.5), quantile(&mut file_sizes, 0.9));
    let (median, most) = (quantile(&mut function_sizes, 0.5), quantile(&mut function_sizes, 0.9));
    println!("{} files: median {file_median} lines, 90 % ≤ {file_most}", file_sizes.len());
    println!("{} functions: median {median} lines, 90 % ≤ {most}", function_sizes.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(file_median <= 200 && file_most <= 500, "files: median {file_median}, 90 % ≤ {file_most}");
    assert!(median <= 8 && most <= 40, "functions: median {median}, 90 % ≤ {most}");
}

/// Names and lengths of the functions of a file that rustfmt has formatted: a function ends at the
/// closing brace in its own indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let words: Vec<&str> = code.split(['(', '<', ' ']).collect();
        let Some(at) = words.iter().position(|w| *w == "fn") else { continue };
        let qualifiers = ["pub", "async", "const", "unsafe", "crate)", "super)", "extern", "\"C\""];
        if !words[..at].iter().all(|w| qualifiers.contains(w)) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let body = lines[start..].iter().position(|l| *l == end || (*l == *line && l.ends_with('}')));
        let signature_only = lines[start..].iter().position(|l| l.ends_with(';'));
        if let Some(length) = body
            && signature_only.is_none_or(|s| s > 0 || !line.ends_with(';'))
        {
            found.push((words.get(at + 1).unwrap_or(&"").to_string(), length + 1));
        }
    }
    found
}

/// Packages with their features, one line each, as cargo resolves them with or without what only tests need.
fn resolved(edges: &str) -> BTreeSet<String> {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--workspace", "--prefix", "none", "-f", "{p} [{f}]", "-e", edges])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).expect("text");
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn the_readmes_two_commands_resolve_the_same_features_so_that_nothing_is_compiled_twice() {
    let (run, test) = (resolved("normal,build"), resolved("normal,build,dev"));
    let package = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
    let shipped: BTreeSet<String> = run.iter().map(|line| package(line)).collect();
    let changed: Vec<_> = test.difference(&run).filter(|line| shipped.contains(&package(line))).collect();
    assert!(changed.is_empty(), "with other features in tests: {changed:#?}");
}
