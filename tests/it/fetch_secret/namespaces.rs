//! `--namespace` and `--auth-namespace`.

use super::Scene;

#[test]
fn case_52_a_namespace_for_the_secrets_and_one_for_the_login() {
    let scene = Scene::new();
    scene.hide("of team one");
    let team: &[(&str, &[u8])] = &[("password", b"of team one"), ("user", b"team1")];
    let out = scene.fs(["--namespace", "team1", "secret/app"]).run();
    out.succeeds();
    scene.dir.holds(team);
    scene.fs(["secret/app"]).run().succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);

    scene.proxy.forget();
    let out = scene
        .approle(
            "app",
            ["--namespace", "/team1/", "--auth-namespace", "root"],
        )
        .args(["secret/app"])
        .run();
    out.succeeds();
    scene.dir.holds(team);
    let asked: Vec<_> = scene
        .proxy
        .seen()
        .iter()
        .map(|seen| {
            let namespace = seen.request.header("x-vault-namespace");
            (seen.request.target.clone(), namespace.map(str::to_string))
        })
        .collect();
    let team1 = Some("team1".to_string());
    assert_eq!(
        asked,
        [
            ("/v1/auth/approle/login".to_string(), None),
            (
                "/v1/sys/internal/ui/mounts/secret/app".to_string(),
                team1.clone()
            ),
            ("/v1/secret/data/app".to_string(), team1),
            ("/v1/auth/token/revoke-self".to_string(), None),
        ]
    );

    let out = scene.fs(["--namespace", "nope", "secret/app"]).run();
    out.fails(66).says("nope").says("--namespace");
    scene.dir.holds(team);
    let out = scene
        .approle("app", ["--auth-namespace", "nope", "secret/app"])
        .run();
    out.fails(66).says("nope").says("--auth-namespace");
}
