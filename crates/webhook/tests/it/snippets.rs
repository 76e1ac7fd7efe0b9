//! The snippets of `docs/webhooks.md` do what the page says. The one in Rust is a documentation test.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const PAGE: &str = include_str!("../../../../docs/webhooks.md");

/// The cases that every snippet has to tell apart: signature header, body, seconds since the attempt, verdict.
const CASES: [(&str, &str, i64, bool); 11] = [
    (RIGHT, BODY, 0, true),
    (RIGHT, BODY, 300, true),
    (RIGHT, BODY, -300, true),
    (
        "v1a,AAAA v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        BODY,
        0,
        true,
    ),
    (RIGHT, BODY, 301, false),
    (RIGHT, BODY, -301, false),
    (RIGHT, r#"{"test":2432232314}"#, 0, false),
    (
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        BODY,
        0,
        false,
    ),
    ("v1,g0hM9SsE", BODY, 0, false),
    (
        "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        BODY,
        0,
        false,
    ),
    ("", BODY, 0, false),
];
const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const BODY: &str = r#"{"test": 2432232314}"#;
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: i64 = 1_614_265_330;
const SECRET: &str = crate::setup::SECRET;

fn snippet(language: &str) -> &'static str {
    let start = format!("\n```{language}\n");
    let (_, behind) = PAGE.split_once(&start).unwrap();
    behind.split_once("\n```\n").unwrap().0
}

/// One line of a test program for each case. Rust's string literals are those of the other languages too.
fn each_case(line: impl Fn(&str, &str, i64, bool) -> String) -> String {
    let quoted = |(signature, body, later, verdict): (&str, &str, i64, bool)| {
        line(
            &format!("{signature:?}"),
            &format!("{body:?}"),
            SENT + later,
            verdict,
        )
    };
    CASES.map(quoted).join("\n")
}

/// Runs commands in the folder, one after the other; whether all could be found.
fn run(folder: &Path, commands: &[&[&str]]) -> bool {
    for command in commands {
        let (program, arguments) = command.split_first().unwrap();
        match Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
        {
            Ok(output) => assert!(
                output.status.success(),
                "{command:?}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => {
                eprintln!("skipped: {program} cannot be started ({error})");
                return false;
            }
        }
    }
    true
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

#[test]
fn the_python_snippet_verifies() {
    let folder = TempDir::new().unwrap();
    let cases = each_case(|signature, body, now, verdict| {
        let verdict = if verdict { "True" } else { "False" };
        format!(
            "headers = {{'webhook-id': '{ID}', 'webhook-timestamp': '{SENT}', 'webhook-signature': {signature}}}\n\
             assert verify('{SECRET}', headers, {body}.encode(), {now}) is {verdict}, ({signature}, {now})"
        )
    });
    let rest = format!("assert verify('{SECRET}', {{}}, b'') is False");
    write(
        &folder,
        "test.py",
        &format!("{}\n{cases}\n{rest}\n", snippet("python")),
    );
    run(folder.path(), &[&["python3", "test.py"]]);
}

#[test]
fn the_java_snippet_verifies() {
    let folder = TempDir::new().unwrap();
    let cases = each_case(|signature, body, now, verdict| {
        format!(
            "check({verdict}, Webhook.verify(\"{SECRET}\", Map.of(\"webhook-id\", \"{ID}\", \"webhook-timestamp\", \"{SENT}\", \
             \"webhook-signature\", {signature}), {body}.getBytes(), {now}L));"
        )
    });
    let program = format!(
        "import java.util.Map;\nclass Main {{\n  static void check(boolean expected, boolean actual) {{\n    \
         if (expected != actual) throw new AssertionError();\n  }}\n  \
         public static void main(String[] arguments) throws Exception {{\n{cases}\n\
         check(false, Webhook.verify(\"{SECRET}\", Map.of(), new byte[0], 0L));\n  }}\n}}\n"
    );
    write(&folder, "Webhook.java", snippet("java"));
    write(&folder, "Main.java", &program);
    run(
        folder.path(),
        &[
            &["javac", "Webhook.java", "Main.java"],
            &["java", "-cp", ".", "Main"],
        ],
    );
}

#[test]
fn the_typescript_snippet_verifies() {
    let folder = TempDir::new().unwrap();
    let cases = each_case(|signature, body, now, verdict| {
        format!(
            "check({verdict}, verify('{SECRET}', {{ 'webhook-id': '{ID}', 'webhook-timestamp': '{SENT}', \
             'webhook-signature': {signature} }}, Buffer.from({body}), {now}));"
        )
    });
    let program = format!(
        "{}\nfunction check(expected: boolean, actual: boolean): void {{\n  \
         if (expected !== actual) throw new Error(`expected ${{expected}}`);\n}}\n{cases}\n\
         check(false, verify('{SECRET}', {{}}, Buffer.from('')));\n",
        snippet("ts")
    );
    write(&folder, "test.mts", &program);
    let Some(compiler) = typescript() else {
        eprintln!("skipped: {TYPESCRIPT} and @types/node cannot be installed with npm");
        return;
    };
    let types = compiler.join("node_modules/@types");
    let options = [
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "node",
        "--typeRoots",
    ];
    let tsc = compiler.join("node_modules/typescript/lib/tsc.js");
    let compile = [
        &["node", tsc.to_str().unwrap()][..],
        &options,
        &[types.to_str().unwrap(), "test.mts"],
    ]
    .concat();
    run(folder.path(), &[&compile, &["node", "test.mjs"]]);
}

const TYPESCRIPT: &str = "typescript@5.9";

/// A folder with the compiler, installed once; `None` if it is not to be had.
fn typescript() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript-5.9");
    let done = folder.join("installed");
    if !done.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let install = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            TYPESCRIPT,
            "@types/node@20",
            "--prefix",
        ];
        let output = Command::new("npm").args(install).arg(&folder).output();
        if !output.is_ok_and(|output| output.status.success()) {
            return None;
        }
        std::fs::write(done, "").unwrap();
    }
    Some(folder)
}
