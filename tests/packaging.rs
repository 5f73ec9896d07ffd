//! What we package, judged by those who will read it: systemd itself, the Kubernetes schemas, a parser of container files.
//!
//! The image is not built here: that needs a container engine. Its file is parsed, and held to what the manifests rely on.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNIT: &str = "packaging/systemd/sealtrail.service";
const MANIFEST: &str = "packaging/kubernetes/daemonset.yaml";
const CONTAINERFILE: &str = "packaging/container/Containerfile";

#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().expect("folder");
    let unit = folder.path().join("sealtrail.service");
    // The binary is not installed here, and nothing else is changed.
    let text = read(UNIT).replace("/usr/bin/sealtrail ", "/bin/true ");
    fs::write(&unit, text).expect("written");
    let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert!(output.status.success(), "{}", words(&output));
    let complaints: Vec<String> =
        words(&output).lines().filter(|line| line.contains("sealtrail.service")).map(str::to_owned).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_unit_exposes_little() {
    let output = run(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager", UNIT]));
    let text = words(&output);
    let line = text
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .unwrap_or_else(|| panic!("no level in\n{text}"));
    let level = line.split_whitespace().find_map(|word| word.parse::<f64>().ok()).expect("a number");
    assert!(level < 2.5, "{line}");
}

#[test]
fn the_unit_may_read_any_log_and_do_nothing_else() {
    let unit = read(UNIT);
    for line in [
        "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
        "AmbientCapabilities=CAP_DAC_READ_SEARCH",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectoryMode=0700",
    ] {
        assert!(unit.lines().any(|one| one == line), "{UNIT} lost {line}");
    }
    // Each of these would take away what a seal or a read needs.
    for line in ["PrivateUsers=yes", "ProcSubset=pid"] {
        assert!(!unit.lines().any(|one| one == line), "{UNIT} has {line}: see the comment there");
    }
}

#[test]
fn the_manifests_follow_the_kubernetes_schemas() {
    for version in ["1.31.0", "1.37.0"] {
        let mut validate = tool("kubernetes-validate");
        let output = run(validate.args(["--strict", "-k", version, MANIFEST]));
        assert!(output.status.success(), "Kubernetes {version}: {}", words(&output));
        let passed = words(&output).lines().filter(|line| line.contains(" passed for resource ")).count();
        assert_eq!(passed, 4, "a namespace, a service account, a config map and a daemon set: {}", words(&output));
    }
}

#[test]
fn the_schemas_would_have_noticed_a_misspelt_key() {
    let folder = tempfile::tempdir().expect("folder");
    let wrong = folder.path().join("wrong.yaml");
    fs::write(&wrong, read(MANIFEST).replace("readOnly: true", "readonly: true")).expect("written");
    let output = run(tool("kubernetes-validate").arg("--strict").arg(&wrong));
    assert!(!output.status.success(), "{}", words(&output));
}

#[test]
fn the_pod_runs_as_the_image_is_made() {
    const PODS: &str = "
import json, sys, yaml
daemons = [doc for doc in yaml.safe_load_all(open(sys.argv[1])) if doc['kind'] == 'DaemonSet']
pod = daemons[0]['spec']['template']['spec']
agent = pod['containers'][0]
allowed = agent['securityContext']
mounts = {mount['name']: mount.get('readOnly', False) for mount in agent['volumeMounts']}
print(json.dumps([allowed['runAsUser'], allowed['runAsNonRoot'], allowed['allowPrivilegeEscalation'], allowed['readOnlyRootFilesystem']]))
print(json.dumps(allowed['capabilities'], sort_keys=True))
print(json.dumps(mounts, sort_keys=True))
print(json.dumps([pod['automountServiceAccountToken'], pod['securityContext']['seccompProfile']['type']]))
print(json.dumps([agent[probe]['httpGet']['path'] for probe in ('startupProbe', 'livenessProbe', 'readinessProbe')]))
";
    let output = run(tool("python").args(["-c", PODS, MANIFEST]));
    let expected = r#"[65532, true, false, true]
{"add": ["DAC_READ_SEARCH"], "drop": ["ALL"]}
{"config": true, "logs": true, "state": false}
[false, "RuntimeDefault"]
["/healthz", "/healthz", "/readyz"]
"#;
    assert_eq!(words(&output), expected);
}

#[test]
fn the_container_file_parses_and_ends_as_a_user_who_is_not_root() {
    const STEPS: &str = "
import json, sys
from dockerfile_parse import DockerfileParser
for step in DockerfileParser(path=sys.argv[1], fileobj=None).structure:
    if step['instruction'] != 'COMMENT':
        print(step['instruction'], step['value'])
";
    let folder = tempfile::tempdir().expect("folder");
    // The parser takes no other name.
    fs::copy(CONTAINERFILE, folder.path().join("Dockerfile")).expect("copied");
    let output = run(tool("python").args(["-c", STEPS]).arg(folder.path()));
    let steps = words(&output);
    assert!(output.status.success(), "{steps}");
    let known = ["FROM", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
    let unknown: Vec<&str> =
        steps.lines().filter(|step| !known.contains(&step.split(' ').next().unwrap_or(step))).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let user = steps.lines().rfind(|step| step.starts_with("USER "));
    assert_eq!(user, Some("USER 65532:65532"));
    assert!(
        steps.contains("setcap cap_dac_read_search=ep"),
        "without it the pod's capability is lost on exec\n{steps}"
    );
    let toolchain = read("rust-toolchain.toml");
    let built_with = steps.split("rust:").nth(1).and_then(|rest| rest.split('-').next()).expect("a rust image");
    assert!(toolchain.contains(built_with), "the image builds with {built_with}, rust-toolchain.toml says {toolchain}");
}

#[test]
fn the_manifest_and_the_documentation_name_the_same_port() {
    for file in [MANIFEST, CONTAINERFILE, "docs/operations.md"] {
        assert!(read(file).contains("9465"), "{file} names no port 9465");
    }
}

#[test]
fn scripts_are_whole_and_executable() {
    use std::os::unix::fs::PermissionsExt;
    for script in [".ci/run", "packaging/install-packages.sh", "packaging/install-test-tools.sh"] {
        let mode = fs::metadata(script).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
        assert!(read(script).contains("set -euo pipefail"), "{script} goes on after an error");
        assert!(run(Command::new("bash").args(["-n", script])).status.success(), "{script} does not parse");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}\n  hint: `make tools` installs what the tests need"))
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program of `target/tools/venv`; installed on the first call of a fresh machine.
fn tool(name: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(PathBuf::from).expect("target/tmp lies in target");
    let output = run(Command::new("packaging/install-test-tools.sh").env("CARGO_TARGET_DIR", &target));
    assert!(output.status.success(), "packaging/install-test-tools.sh: {}", words(&output));
    Command::new(target.join("tools/venv/bin").join(name))
}
