"""The files in deploy/: checked by their own tools, and consistent with each other."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from transcodio_site.supervisor import Stack
from transcodio_site.tests.deployment.machines import commands, example_environment
from transcodio_site.tests.deployment.servers import DEPLOY, require_programs
from transcodio_site.tests.test_documents import TEXTS, documented

MANIFESTS = sorted(
    path
    for path in (DEPLOY / "kubernetes").glob("*.yaml")
    if not path.name.startswith(("kustomization", "prometheus"))
)
UNITS = DEPLOY / "systemd"


def kubernetes_objects() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def containers() -> dict[str, list[str]]:
    """The command of each deployment and job."""
    return {
        each["metadata"]["name"]: [
            re.sub(r"\$\((\w+)\)", r"${\1}", part)
            for part in each["spec"]["template"]["spec"]["containers"][0]["command"]
        ]
        for each in kubernetes_objects()
        if each["kind"] in ("Deployment", "Job")
    }


def unit_command(name: str, instance: str = "") -> list[str]:
    """What a systemd unit starts."""
    text = (UNITS / name).read_text()
    dropins = UNITS / f"{name.replace('@', f'@{instance}')}.d"
    for dropin in sorted(dropins.glob("*.conf")):
        text = text.partition("ExecStart=")[0] + dropin.read_text()  # which clears it
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    line = line.replace("/opt/transcodio/.venv/bin/", "").replace("%i", instance)
    return shlex.split(line.replace("%H", "%h"))


def queues(command: list[str]) -> str:
    return command[command.index("--queues") + 1]


# --- Checked by their own tools -----------------------------------------------------------------


def test_manifests_are_valid() -> None:
    objects = list(kubernetes_objects())
    assert {each["kind"] for each in objects} >= {
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "PodDisruptionBudget",
    }
    for each in objects:
        kubernetes_validate.validate(each, "1.37", strict=True)


def test_dockerfile_has_no_warnings() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_units_are_valid(tmp_path: Path) -> None:
    for unit in UNITS.rglob("*.*"):
        if unit.is_dir():
            continue
        text = unit.read_text().replace(
            "/opt/transcodio/.venv/bin/", f"{Path(sys.executable).parent}/"
        )
        copy = tmp_path / unit.relative_to(UNITS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text.replace("User=transcodio\n", "User=root\n"))
    units = ("web@8001.service", "worker@celery.service", "worker@live.service", "beat.service")
    names = [str(tmp_path / f"transcodio-{name}") for name in units]
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.deploy
def test_caddyfile_is_valid() -> None:
    require_programs()
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", "caddy/Caddyfile"]
    done = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- Consistency --------------------------------------------------------------------------------


def test_compose_kubernetes_and_systemd_start_the_same_commands() -> None:
    compose = commands()
    assert compose == containers()
    for name in ("preprocess", "transcribe", "live"):
        assert unit_command("transcodio-worker@.service", name) == compose[f"worker-{name}"]
    assert unit_command("transcodio-beat.service") == compose["beat"]
    loopback = [part.replace("0.0.0.0", "127.0.0.1") for part in compose["web"]]  # noqa: S104
    assert unit_command("transcodio-web@.service", "8000") == loopback


def test_image_starts_the_web_server() -> None:
    (line,) = re.findall(r"^CMD \[(.+)\]$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert [part.strip('"') for part in line.split(", ")] == commands()["web"]


def test_every_queue_has_a_worker() -> None:
    embedded = [child.command for child in Stack("127.0.0.1", 8000).children]
    own = ",".join(queues(command) for command in embedded if "--queues" in command).split(",")
    workers = [command for command in commands().values() if "--queues" in command]
    assert sorted(queues(command) for command in workers) == sorted(own)


def test_every_deployment_can_be_disrupted_safely() -> None:
    objects = list(kubernetes_objects())
    budgets = {
        each["metadata"]["name"] for each in objects if each["kind"] == "PodDisruptionBudget"
    }
    assert budgets == {each["metadata"]["name"] for each in objects if each["kind"] == "Deployment"}


def test_pods_may_do_nothing_that_they_need_not() -> None:
    for each in kubernetes_objects():
        if each["kind"] not in ("Deployment", "Job"):
            continue
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_examples_set_only_documented_variables() -> None:
    variables = set(example_environment())
    for each in kubernetes_objects():
        variables |= set(each.get("data", {})) | set(each.get("stringData", {}))
    units = "".join(path.read_text() for path in UNITS.glob("*.*") if path.is_file())
    variables |= set(re.findall(r"^Environment=(\w+)=", units, re.MULTILINE))
    assert variables <= set(documented())


def test_health_checks_use_existing_paths() -> None:
    paths = {"/health/live", "/health/ready"}
    for path in (DEPLOY / "Dockerfile", DEPLOY / "kubernetes" / "web.yaml"):
        assert set(re.findall(r"/health\S*?(?=[\s'\"])", path.read_text())) <= paths


def test_every_image_in_kubernetes_has_the_name_of_the_release() -> None:
    """Kustomize renames the images of its resources; migrate.yaml is applied on its own."""
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    (image,) = kustomization["images"]
    for path in MANIFESTS:
        images = set(re.findall(r"^ *(?:- )?image: (\S+)$", path.read_text(), re.MULTILINE))
        if path.name in kustomization["resources"]:
            assert images <= {image["name"]}, path
        else:
            assert images <= {f"{image['newName']}:{image['newTag']}"}, path


def config_map() -> dict[str, str]:
    """The settings of all pods."""
    maps = (each["data"] for each in kubernetes_objects() if each["kind"] == "ConfigMap")
    return dict(next(maps))


def test_prometheus_can_read_the_metrics_of_pods() -> None:
    (secret,) = (each for each in kubernetes_objects() if each["kind"] == "Secret")
    assert secret["stringData"]["METRICS_TOKEN"] == "CHANGE_ME"
    example = (DEPLOY / "monitoring" / "prometheus.yml").read_text()
    assert f':{config_map()["METRICS_PORT"]}"' in example


def test_live_worker_has_a_thread_for_each_session() -> None:
    live = commands()["worker-live"]
    assert live[live.index("--concurrency") + 1] == "${MAX_LIVE_SESSIONS}"
    sessions = {config_map()["MAX_LIVE_SESSIONS"], example_environment()["MAX_LIVE_SESSIONS"]}
    guide = TEXTS["docs/self-hosting.md"]
    sessions |= set(re.findall(r"^MAX_LIVE_SESSIONS=(\d+)$", guide, re.MULTILINE))
    sessions |= set(re.findall(r"--queues live .*--concurrency (\d+)$", guide, re.MULTILINE))
    assert len(sessions) == 1


def test_limits_of_accounts_do_not_depend_on_the_pod() -> None:
    """The default of JOBS_PER_ACCOUNT is computed from WORKER_CONCURRENCY."""
    assert "- name: WORKER_CONCURRENCY" in (DEPLOY / "kubernetes" / "workers.yaml").read_text()
    default = int(documented()["WORKER_CONCURRENCY"].strip("`"))
    assert int(config_map()["JOBS_PER_ACCOUNT"]) == default * 3 // 4


def test_restore_drill_uses_no_server_of_the_installation() -> None:
    drill = TEXTS["docs/backup.md"].split("\n### Try it\n")[1]
    exported = " ".join(re.findall(r"^export (.+)$", drill, re.MULTILINE))
    values = dict(part.split("=", 1) for part in exported.split())
    servers = {name for name in documented() if name.endswith(("_URL", "_DSN", "_ENDPOINT"))}
    used = {name: values.get(name) for name in servers - {"OIDC_SERVER_URL"}}
    own = {"SITE_URL": "http://127.0.0.1:8010", "EMAIL_URL": "consolemail://"}
    assert used == dict.fromkeys(used, "") | own
    assert (values["METRICS_PORT"], values["WYOMING_TOKEN"]) == ("0", "")


@pytest.mark.parametrize("guide", ["docs/self-hosting.md", "docs/upgrading.md"])
def test_migration_in_kubernetes_is_given_time(guide: str) -> None:
    (wait,) = re.findall(r"^kubectl wait .+$", TEXTS[guide], re.MULTILINE)
    assert "--timeout=1h" in wait


def test_proxies_of_compose_follow_the_addresses_of_the_web_containers() -> None:
    upstream = (DEPLOY / "nginx" / "upstream.compose.conf").read_text()
    for directive in ("zone transcodio", "resolver 127.0.0.11 valid=", "server web:8000 resolve;"):
        assert f"    {directive}" in upstream
    assert "dynamic a web 8000" in (DEPLOY / "caddy" / "Caddyfile").read_text()


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("caddy/Caddyfile", r"\bmax_size (\d+)MiB\b"),
        ("nginx/transcodio.conf", r"\bclient_max_body_size (\d+)m;"),
        ("kubernetes/web.yaml", r"/proxy-body-size: (\d+)m$"),
    ],
)
def test_proxies_accept_the_largest_file(path: str, setting: str) -> None:
    (mebibytes,) = re.findall(setting, (DEPLOY / path).read_text(), re.MULTILINE)
    assert int(mebibytes) > int(documented()["MAX_FILE_SIZE_MB"].strip("`"))


def test_files_name_no_package_index() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert not re.search(r"pypi|index-url|registry\.npm", path.read_text()), path
