//! Backups through the door: what is written, what is refused, and that nothing is changed by what is refused.

use axum::body::Body;
use beatrix_native::backup::check::Follower;
use beatrix_wire as wire;
use http_body_util::BodyExt;
use serde_json::json;

use crate::door::{Door, SERVICE};

async fn exported(door: &Door) -> String {
    let answer = door.get("/api/v1/export").await;
    assert_eq!(answer.headers["content-type"], "application/jsonl");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

async fn import(door: &Door, query: &str, lines: &str) -> wire::ImportReport {
    let answer = door
        .call("POST", &format!("/api/v1/import?{query}"), lines.to_owned())
        .await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

async fn filled() -> Door {
    let door = Door::open().await;
    door.register_with("10.0.0.1:80", json!({"liveness": {"type": "static"}}))
        .await;
    door.register_with("10.0.0.2:80", json!({"incarnation": "run"}))
        .await;
    let path = format!("{SERVICE}/instances/10.0.0.1:80");
    door.call("PATCH", &path, json!({"draining": true}).to_string())
        .await;
    door
}

/// Those of an import as import changes, and who did them.
#[tokio::test]
async fn what_is_imported_is_there_with_its_lease_and_told_as_an_import() {
    let from = filled().await;
    let lines = exported(&from).await;
    let to = Door::open().await;
    let report = import(&to, "", &lines).await;
    assert_eq!((report.changed, report.refused.len()), (3, 0));
    let (was, is) = (from.service().await, to.service().await);
    assert!(is.instances[1].unconfirmed && is.instances[0].draining);
    for (mut was, mut is) in was.instances.into_iter().zip(is.instances) {
        (was.revision, is.revision, is.unconfirmed) = (0, 0, false);
        assert_eq!(was, is);
    }
    let page: wire::EventsPage = to.get("/api/v1/events").await.json();
    assert!(
        page.events
            .iter()
            .all(|event| event.by.as_ref().unwrap().surface == "import")
    );
    let again = import(&to, "", &lines).await;
    assert_eq!((again.changed, again.unchanged), (0, 4));
}

#[tokio::test]
async fn a_backup_that_is_not_whole_or_of_a_newer_version_changes_nothing() {
    let lines = exported(&filled().await).await;
    let to = Door::open().await;
    let refused = |lines: String| {
        let to = &to;
        async move {
            let answer = to.call("POST", "/api/v1/import", lines).await;
            answer.problem(400, "invalid-backup").detail
        }
    };
    let all: Vec<&str> = lines.split_inclusive('\n').collect();
    for cut in 1..all.len() {
        let detail = refused(all[..cut].concat()).await;
        assert!(detail.contains(&format!("line {}", cut + 1)), "{detail}");
    }
    for cut in 1..lines.len() - 1 {
        refused(lines[..cut].to_owned()).await;
    }
    assert!(
        refused(lines.replace("\"version\":1", "\"version\":2"))
            .await
            .contains("version 2")
    );
    // One that was changed and still reads well is found by its sum.
    refused(lines.replace("10.0.0.2", "10.0.0.3")).await;
    let swapped = [all[0], all[1], all[2], all[4], all[3], all[5]].concat();
    assert!(refused(swapped).await.contains("line 5"));
    refused([all[1], all[2], "{\"kind\":\"instance\"}\n"].concat()).await;
    assert_eq!(to.revision(), 0, "nothing was changed");
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_persistent_only_leaves_out_who_beats() {
    let lines = exported(&filled().await).await;
    let to = Door::open().await;
    let report = import(&to, "dry_run=true", &lines).await;
    assert_eq!((report.changed, to.revision()), (4, 0));
    let report = import(&to, "persistent_only=true", &lines).await;
    assert_eq!((report.changed, report.skipped), (2, 1));
    assert_eq!(to.service().await.instances.len(), 1);
}

#[tokio::test]
async fn a_line_that_the_registry_refuses_is_told_and_the_others_stand() {
    let lines = exported(&filled().await).await;
    let mut config = beatrix_engine::EngineConfig::default();
    config.catalog.instances_max = 1;
    let to = Door::with(config).await;
    let report = import(&to, "", &lines).await;
    assert_eq!(report.changed, 2);
    assert_eq!(report.refused.len(), 1);
    assert_eq!(report.refused[0].line, 5);
    assert!(report.refused[0].detail.contains("instances_max"));
}

#[tokio::test]
async fn what_is_to_be_removed_is_and_who_beats_stays() {
    let door = filled().await;
    let of = r#""namespace":"public","group":"DEFAULT_GROUP","service":"orders""#;
    let lines = [
        format!("{{\"kind\":\"remove\",{of},\"layer\":\"10.0.0.1:80\"}}\n"),
        format!("{{\"kind\":\"remove\",{of},\"instance\":\"10.0.0.1:80\"}}\n"),
        format!("{{\"kind\":\"remove\",{of},\"instance\":\"10.0.0.2:80\"}}\n"),
        format!("{{\"kind\":\"remove\",{of}}}\n"),
    ];
    let report = import(&door, "", &lines.concat()).await;
    assert_eq!((report.changed, report.unchanged), (2, 2));
    assert_eq!(door.service().await.instances.len(), 1);
}

/// An instance never comes before the layer that stands before it, nor a service's removal before that of its last
/// instance: of far more lines than a task may send at one go.
#[tokio::test]
async fn lines_are_carried_out_in_their_order() {
    const COUNT: usize = 400;
    let lines = exported(&filled().await).await;
    let line = |of: &str| lines.lines().find(|line| line.contains(of)).unwrap();
    let (layer, instance) = (line("\"kind\":\"layer\""), line("\"static\""));
    let lease = instance.split("\"lease\":\"").nth(1).unwrap()[..16].to_owned();
    let at = |number: usize| format!("10.1.{}.{}", number >> 8, number & 255);
    let put: String = (0..COUNT)
        .map(|number| {
            let instance = instance.replace(&lease, &format!("{:016x}", number + 1));
            format!("{layer}\n{instance}\n").replace("10.0.0.1", &at(number))
        })
        .collect();
    let mut config = beatrix_engine::EngineConfig::default();
    config.catalog.instances_max = COUNT;
    let door = Door::with(config).await;
    let report = import(&door, "", &put).await;
    assert_eq!((report.changed as usize, report.refused.len()), (2 * COUNT, 0));
    let page: wire::EventsPage = door.get("/api/v1/events?limit=1000").await.json();
    let seen: Vec<_> = page
        .events
        .iter()
        .map(|event| (event.kind, event.address.clone()))
        .collect();
    let wanted: Vec<_> = (0..COUNT)
        .map(|number| (wire::ChangeKind::Registered, at(number)))
        .collect();
    assert_eq!(seen, wanted);
    let of = r#""namespace":"public","group":"DEFAULT_GROUP","service":"orders""#;
    let mut removals = String::new();
    for number in 0..COUNT {
        for part in ["instance", "layer"] {
            removals += &format!("{{\"kind\":\"remove\",{of},\"{part}\":\"{}:80\"}}\n", at(number));
        }
    }
    removals += &format!("{{\"kind\":\"remove\",{of}}}\n");
    let report = import(&door, "", &removals).await;
    assert_eq!((report.changed as usize, report.unchanged), (2 * COUNT + 1, 0));
    assert_eq!(door.get(SERVICE).await.status, 404);
}

/// 100,000 instances are written in pieces: of the backup no more than some hundred kilobytes are there at once.
#[tokio::test]
async fn a_large_backup_is_written_in_bounded_pieces_and_read_back() {
    const COUNT: usize = 100_000;
    let door = Door::open().await;
    let seed = filled().await;
    let lines = exported(&seed).await;
    let line = lines.lines().find(|line| line.contains("\"static\"")).unwrap();
    let lease = line.split("\"lease\":\"").nth(1).unwrap()[..16].to_owned();
    let mut part = String::new();
    for number in 0..COUNT {
        let address = format!(
            "\"10.{}.{}.{}\"",
            1 + (number >> 16),
            number >> 8 & 255,
            number & 255
        );
        let line = line
            .replace("\"10.0.0.1\"", &address)
            .replace(&lease, &format!("{:016x}", number + 1));
        part += &line;
        part.push('\n');
        if part.len() > 4 * 1024 * 1024 || number + 1 == COUNT {
            import(&door, "", &part).await;
            part.clear();
        }
    }
    let request = axum::http::Request::builder()
        .uri("/api/v1/export")
        .body(Body::empty())
        .unwrap();
    let mut body = door.response(request).await.into_body();
    let (mut follower, mut most, mut all, mut rest) = (Follower::default(), 0, 0, Vec::new());
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        most = most.max(piece.len());
        all += piece.len();
        rest.extend_from_slice(&piece);
        let whole = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
            follower.take(line).unwrap();
        }
        rest.drain(..whole);
    }
    follower.end().unwrap();
    assert_eq!(follower.sums().instances, COUNT as u64);
    assert!(most < 1024 * 1024 && all > 20 * most, "{most} of {all}");
}

#[tokio::test]
async fn a_third_export_at_once_is_refused_by_the_name_of_its_limit() {
    let door = filled().await;
    let held = (door.registry.export(), door.registry.export());
    let problem = door.get("/api/v1/export").await.problem(429, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("exports_max"));
    drop(held);
    assert_eq!(door.get("/api/v1/export").await.status, 200);
}

fn export_request() -> axum::http::Request<Body> {
    let request = axum::http::Request::builder().uri("/api/v1/export");
    request.body(Body::empty()).unwrap()
}

/// Who does not read is given up, and told so should he read after all; who reads slowly is not.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_his_backup_does_not_keep_its_place() {
    let door = Door::open().await;
    for number in 0..1_000 {
        let instance = format!("10.1.{}.{}:80", number / 256, number % 256);
        door.register_with(&instance, json!({"liveness": {"type": "static"}}))
            .await;
    }
    let mut idle = door.response(export_request()).await.into_body();
    let mut slow = door.response(export_request()).await.into_body();
    door.get("/api/v1/export").await.problem(429, "limit-exceeded");
    let mut read = 0;
    while let Some(frame) = slow.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    }
    assert!(read > 4 * 64 * 1024, "{read}");
    assert_eq!(door.get("/api/v1/export").await.status, 200);
    let mut failed = false;
    while let Some(frame) = idle.frame().await {
        failed |= frame.is_err();
    }
    assert!(failed, "it is not whole");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_send_his_import_holds_up_nobody_and_is_given_up() {
    let lines = exported(&filled().await).await;
    let door = std::sync::Arc::new(Door::open().await);
    let never = Body::from_stream(futures_util::stream::pending::<std::io::Result<bytes::Bytes>>());
    let idle = tokio::spawn({
        let door = std::sync::Arc::clone(&door);
        async move { door.call("POST", "/api/v1/import", never).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(import(&door, "", &lines).await.changed, 3);
    let problem = idle.await.unwrap().problem(408, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("import_still_s_max"));
}
