//! Pages over real stores: their numbers, their manners and what they refuse to be tricked into.
#![allow(clippy::unwrap_used)]

mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use house::{House, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: &str = "/dashboard/experiments/product-page";

/// Every element and its attributes, without what stands between them.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|t| t.split_once('>').map(|(tag, _)| tag)).collect()
}

fn assert_manners(reply: &Reply) {
    let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'; base-uri 'none'; form-action 'self'"), "{policy}");
    assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(reply.headers[header::REFERRER_POLICY], "same-origin");
    if !reply.headers.get(header::CONTENT_TYPE).is_some_and(|t| t.to_str().unwrap().starts_with("text/html")) {
        return;
    }
    for tag in tags(&reply.body) {
        // Every other part stands in quotation marks.
        for names in tag.split('"').step_by(2) {
            assert!(!names.split_whitespace().any(|name| name.starts_with("on")), "an inline handler: {tag}");
        }
    }
    for script in reply.body.split("<script").skip(1) {
        let (attributes, rest) = script.split_once('>').unwrap();
        assert!(attributes.contains(" src=\"/dashboard/assets/") && rest.starts_with("</script>"), "{script}");
    }
    for needed in ["<html lang=\"en\">", "href=\"#main\"", "id=\"main\"", "Simulated &#60;visitors&#62;"] {
        assert!(reply.body.contains(needed), "{needed} is missing");
    }
}

/// The row of a table whose header cell holds `name`.
fn row<'a>(html: &'a str, name: &str) -> &'a str {
    html.split("<tr").find(|r| r.contains("scope=\"row\"") && r.contains(name)).unwrap().split("</tr>").next().unwrap()
}

fn form(text: &str) -> String {
    let encoded: Vec<String> = text
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    encoded.concat()
}

fn exact(value: impl ToString) -> String {
    format!("<data value=\"{}\">", value.to_string())
}

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let house = House::open().await;
    let reply = house.get("/dashboard").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_manners(&reply);
    assert!(reply.body.contains("curl -X POST http://shop.example:8080/v1/experiments \\"));
    let json = reply.body.split_once("-d '").unwrap().1.split_once('\'').unwrap().0;
    let definition = json.replace("&#34;", "\"").replace("&quot;", "\"");
    let e: bandit::Experiment = serde_json::from_str(&definition).unwrap();
    bandit::validate(&e).unwrap();
}

#[tokio::test]
async fn hosts_that_are_no_hosts_stay_out_of_the_example() {
    let house = House::open().await;
    let request = Request::get("/dashboard").header("host", "x;rm -rf ~").body(Body::empty()).unwrap();
    assert!(house.send(request).await.body.contains("http://127.0.0.1:8080/v1/experiments"));
}

#[tokio::test]
async fn every_number_equals_the_results() {
    let house = House::open().await;
    let record = house.shop().await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap();
    let reply = house.get(PAGE).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_manners(&reply);
    assert_eq!(results.segments.len(), 2);
    let whole = reply.body.split("<caption>Arms over all visitors").nth(1).unwrap();
    for arm in &results.arms {
        let row = row(whole, &format!("<span>{}<", arm.id));
        let mut numbers = vec![exact(arm.trials), exact(arm.pending), exact(arm.rewards)];
        numbers.extend(arm.rate.map(exact));
        numbers.extend(arm.interval.map(exact));
        numbers.extend([arm.p_best, arm.expected_loss, arm.allocation].map(exact));
        if let Some(uplift) = &arm.uplift {
            numbers.extend(uplift.mean.map(exact));
            numbers.extend(uplift.interval.map(exact));
        }
        let mut rest = row;
        for number in numbers {
            rest = rest.split_once(&number).unwrap_or_else(|| panic!("{number} in {row}")).1;
        }
        assert!(!row.contains(">leads<"), "each segment has an arm of its own: {row}");
    }
    for segment in &results.segments {
        let name: String = form(&segment.segment);
        let link = format!("href=\"{PAGE}?segment={name}#arms\"");
        assert!(reply.body.contains(&link), "{link}");
        let page = house.get(&format!("{PAGE}?segment={name}")).await;
        let caption = format!("<caption>Arms in segment <strong><bdi>{}</bdi>", segment.segment);
        let table = page.body.split(&caption).nth(1).unwrap();
        for arm in &segment.arms {
            let row = row(table, &format!("<span>{}<", arm.id));
            for number in [exact(arm.trials), exact(arm.p_best), exact(arm.interval[0]), exact(arm.expected_loss)] {
                assert!(row.contains(&number), "{number} in {row}");
            }
        }
        let (trials, rewards) = segment.arms.iter().fold((0, 0), |(t, r), a| (t + a.trials, r + a.rewards));
        let listed =
            row(reply.body.split("id=\"segments\"").nth(1).unwrap(), &format!("<bdi>{}</bdi>", segment.segment));
        assert!(listed.contains(&exact(trials)) && listed.contains(&exact(rewards)), "{listed}");
    }
    let holdout = results.holdout.unwrap();
    let difference = holdout.difference.unwrap();
    for number in [difference.difference, difference.interval[0], difference.interval[1]] {
        assert!(reply.body.contains(&exact(number)), "{difference:?}");
    }
    for (name, group) in [("Policy", holdout.policy), ("Holdout", holdout.holdout)] {
        let row = row(&reply.body, &format!(">{name}<"));
        for number in [exact(group.trials), exact(group.rewards), exact(group.rate.unwrap()), exact(group.interval[1])]
        {
            assert!(row.contains(&number), "{number} in {row}");
        }
    }
    assert!(reply.body.contains(&format!("<dt>Posterior version</dt><dd>{}3</data>", exact(3))));
    assert!(reply.body.contains("<span class=\"status running\">running</span>"));
    assert!(reply.body.contains("data-refresh-seconds"));
    for check in &results.health {
        assert!(reply.body.contains(&check.detail), "{check:?}");
    }
    assert!(reply.body.contains("because &#60;i&#62;I&#60;/i&#62; can"));
}

/// `b` is better on most visits, but those are where little is bought: over all visits that it was dealt, `control` looks better.
#[tokio::test]
async fn arms_of_different_visitors_are_not_compared_as_one() {
    let house = House::open().await;
    let record = house
        .begin(serde_json::json!({
            "id": "product-page", "arms": [{"id": "control", "control": true}, {"id": "b"}], "segment_by": ["device"],
            "reward": {"event": "purchase", "window_hours": 24},
        }))
        .await;
    let e = &record.definition;
    let read = async || store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    for (segment, arm, trials, rewards) in
        [("device=mobile", 0, 150, 3), ("device=mobile", 1, 2000, 100), ("device=desktop", 0, 1000, 120)]
    {
        house.try_out(e, segment, arm, trials, rewards).await;
    }
    house.publish(&record, 2).await;
    assert_eq!(read().await.one_for_all, Some(Vec::new()), "nobody knows b on desktops");
    let young = house.get(PAGE).await.body;
    assert!(young.contains("No arm need be the best for all") && young.contains("Not known yet: arms are dealt"));
    assert!(!young.contains("would lose least"));

    house.try_out(e, "device=desktop", 1, 150, 15).await;
    house.publish(&record, 1).await;
    let results = read().await;
    assert!(results.arms[0].p_best > 0.95, "the whole misleads: {:?}", results.arms);
    let [control, b] = results.one_for_all.unwrap().try_into().unwrap();
    assert_eq!((control.arm.as_str(), b.arm.as_str()), ("control", "b"));
    let apart = store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap().segments;
    let trials =
        |s: &store::SegmentResult| s.arms.iter().map(|a| f64::from(u32::try_from(a.trials).unwrap())).sum::<f64>();
    let weighed = |of: &dyn Fn(&store::SegmentResult) -> f64| {
        apart.iter().map(|s| trials(s) * of(s)).sum::<f64>() / apart.iter().map(trials).sum::<f64>()
    };
    for (i, one) in [&control, &b].into_iter().enumerate() {
        assert!((one.rate - weighed(&|s| s.arms[i].posterior.mean())).abs() < 1e-12, "{one:?}");
        let lost = |s: &store::SegmentResult| {
            s.arms[0].posterior.mean().max(s.arms[1].posterior.mean()) - s.arms[i].posterior.mean()
        };
        assert!((one.loss - weighed(&lost)).abs() < 1e-12, "{one:?}");
    }
    assert!(b.loss > 0.004 && control.loss > b.loss + 0.01, "{b:?} {control:?}");
    assert!((b.rate + b.loss - control.rate - control.loss).abs() < 1e-12, "against the same");
    let page = house.get(PAGE).await.body;
    assert!(!page.contains("is the best arm with probability") && !page.contains("If nothing else were shown"));
    let lead = page.split("would lose least").nth(1).unwrap();
    assert!(lead.split("</p>").next().unwrap().contains(&exact(b.loss)));
    let answer = page.split("What would stopping now cost?").nth(1).unwrap().split("</dd>").next().unwrap();
    assert!(answer.contains(&exact(b.loss)) && answer.contains("for everyone"), "{answer}");
    let stop = house.get(&format!("{PAGE}/stop")).await.body;
    for one in [control, b] {
        let row = stop.split("<tr>").find(|r| r.contains(&format!("value=\"{}\"", one.arm))).unwrap();
        assert!(row.contains(&exact(one.loss)), "{row}");
        assert_eq!(row.contains(" checked"), one.arm == "b", "{row}");
    }
    let past = house.get(&format!("{PAGE}?version=1")).await.body;
    assert!(past.contains("No arm need be the best for all") && !past.contains("would lose least"));
    assert!(!page.contains(">leads<") && house.get("/dashboard").await.body.contains(">differs<"));
    let within = house.get(&format!("{PAGE}?version=1&segment=device%3Dmobile")).await.body;
    assert!(within.contains(">leads<") && within.contains("The arms of the segment and all else are as they are now"));
    assert!(!past.contains("The arms of the segment") && past.contains("the arms, their posteriors"));
}

#[tokio::test]
async fn the_list_equals_the_results() {
    let house = House::open().await;
    let record = house.shop().await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap();
    let reply = house.get("/dashboard").await;
    assert_manners(&reply);
    let row = row(&reply.body, "product-page");
    let leader = results.arms.iter().max_by(|a, b| a.p_best.total_cmp(&b.p_best)).unwrap();
    let (trials, rewards) = results.arms.iter().fold((0, 0), |(t, r), a| (t + a.trials, r + a.rewards));
    assert_eq!(trials, 1480);
    for number in
        [exact(leader.p_best), exact(trials), exact(rewards), format!("datetime=\"{}\"", results.updated_at.unwrap())]
    {
        assert!(row.contains(&number), "{number} in {row}");
    }
    assert!(row.contains(">1,480<") && row.contains("1 h ago") && row.contains(&format!(" {}</span>", leader.id)));
}

#[tokio::test]
async fn long_lists_have_pages() {
    let house = House::open().await;
    for n in 0..26 {
        let arms = json!([{"id": "a"}, {"id": "b"}]);
        house.begin(json!({"id": format!("e{n:02}"), "arms": arms, "reward": {"event": "x"}})).await;
    }
    let first = house.get("/dashboard").await;
    assert!(first.body.contains("/experiments/e24\"") && !first.body.contains("/experiments/e25\""));
    assert!(first.body.contains("href=\"/dashboard?page=2\""));
    let second = house.get("/dashboard?page=2").await;
    assert!(second.body.contains("/experiments/e25\"") && !second.body.contains(">Next<"));
    assert!(!house.get("/dashboard?page=3").await.body.contains("Nothing is being tested"));
}

#[tokio::test]
async fn hostile_names_are_text() {
    let house = House::open().await;
    let script = "<script>alert('1')</script>";
    let name = format!("{script}\u{202e}שלום\"'&amp;{}", "W".repeat(200));
    let record = house
        .begin(json!({"id": "hostile", "name": name, "arms": [{"id": "a"}, {"id": "<img src=x onerror=alert(1)>"}],
            "segment_by": ["s"], "reward": {"event": script}}))
        .await;
    house.try_out(&record.definition, &format!("s={script}\" onclick=\"x"), 1, 20, 3).await;
    house.publish(&record, 1).await;
    for uri in ["/dashboard", "/dashboard/experiments/hostile"] {
        let reply = house.get(uri).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_manners(&reply);
        assert!(!reply.body.contains("<script>") && !reply.body.contains("<img src=x"), "{uri}");
        assert!(reply.body.contains("&#60;script&#62;alert(&#39;1&#39;)"), "{uri}");
        assert!(reply.body.contains("<bdi>&#60;script&#62;"), "a name must not turn its surroundings: {uri}");
    }
    for plot in ["densities", "best", "allocation", "segments", "rewards", "holdout", "delay"] {
        let body = house.get(&format!("/dashboard/experiments/hostile/plots/{plot}")).await.body;
        let mut figure: Value = serde_json::from_str(&body).unwrap();
        for trace in figure["data"].as_array_mut().unwrap() {
            trace.as_object_mut().unwrap().remove("hovertemplate");
        }
        assert!(!figure.to_string().contains('<'), "{plot} would read tags: {figure}");
        assert!(plot == "rewards" || plot == "holdout" || plot == "delay" || body.contains("‹img src=x"), "{plot}");
    }
    let reply = house.get(&format!("/dashboard/experiments/{}", "%3Cscript%3E".repeat(300))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_manners(&reply);
}

#[tokio::test]
async fn densities_cover_each_arms_mass() {
    let house = House::open().await;
    let record = house.shop().await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap();
    let reply = house.get(&format!("{PAGE}/plots/densities")).await;
    assert_manners(&reply);
    let figure: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(figure["config"]["displayModeBar"], false);
    assert_eq!(figure["data"].as_array().unwrap().len(), 3);
    for (arm, trace) in results.arms.iter().zip(figure["data"].as_array().unwrap()) {
        assert_eq!(trace["name"], arm.id.as_str());
        let of = |axis: &str| trace[axis].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        let (xs, ys) = (of("x"), of("y"));
        for (y, density) in ys.iter().zip(arm.posterior.density(&xs)) {
            assert!((y - density).abs() <= 1e-3 * density, "{}: {y} {density}", arm.id);
        }
        let mass: f64 = xs.windows(2).zip(ys.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum();
        assert!((mass - 1.0).abs() < 0.01, "{}: {mass}", arm.id);
    }
    let colours: BTreeMap<&str, &str> = figure["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["line"]["color"].as_str().unwrap(), t["name"].as_str().unwrap()))
        .collect();
    assert_eq!(colours.len(), 3);
    let page = house.get(PAGE).await.body;
    for (colour, arm) in colours {
        assert!(
            row(&page, &format!("<span>{arm}<")).contains(&format!("stroke=\"{colour}\"")),
            "{arm} is {colour} everywhere"
        );
    }
}

#[tokio::test]
async fn plots_over_time_have_a_point_per_version_and_end_where_the_results_are() {
    let house = House::open().await;
    let record = house.shop().await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap();
    for (plot, value) in [("allocation", (|a| a.allocation) as fn(&bandit::ArmResult) -> f64), ("best", |a| a.p_best)] {
        let figure: Value = serde_json::from_str(&house.get(&format!("{PAGE}/plots/{plot}")).await.body).unwrap();
        let traces = figure["data"].as_array().unwrap();
        assert_eq!(traces.len(), 4, "an arm each, and the updates");
        for (arm, trace) in results.arms.iter().zip(traces) {
            let shares = trace["y"].as_array().unwrap();
            assert_eq!((trace["name"].as_str().unwrap(), shares.len()), (arm.id.as_str(), 3));
            assert!((shares[2].as_f64().unwrap() - value(arm)).abs() < 1e-6, "{plot} of {}", arm.id);
            assert_eq!(trace["x"][2], "2026-11-21 09:00");
            assert_eq!(trace["stackgroup"], "arms");
        }
        assert_eq!(traces[3]["text"], json!(["1", "2", "3"]));
    }
    // `p` shows each digit of the rounding error that Plotly's tick at zero may be, as −0.0000000000000089%.
    let holdout: Value = serde_json::from_str(&house.get(&format!("{PAGE}/plots/holdout")).await.body).unwrap();
    assert_eq!(holdout["layout"]["yaxis"]["tickformat"], ".3~%");
}

#[tokio::test]
async fn plots_over_time_are_thinned_and_go_as_far_back_as_asked() {
    let house = House::open().await;
    let arms = json!([{"id": "a"}, {"id": "b"}]);
    let record = house.begin(json!({"id": "old", "arms": arms, "reward": {"event": "x"}})).await;
    for hour in 0..205 {
        house.publish(&record, 204 - hour).await;
    }
    let versions = async |query: &str| -> Vec<String> {
        let reply = house.get(&format!("/dashboard/experiments/old/plots/allocation{query}")).await;
        let figure: Value = serde_json::from_str(&reply.body).unwrap();
        serde_json::from_value(figure["data"][2]["text"].clone()).unwrap()
    };
    let all = versions("").await;
    assert_eq!((all.len(), &*all[0], &*all[99]), (100, "1", "205"));
    let week = versions("?days=7").await;
    assert_eq!((&*week[0], &**week.last().unwrap()), ("37", "205"));
    assert_eq!(versions("?days=5").await.len(), 100, "only the ranges that there are");
    let page = house.get("/dashboard/experiments/old?days=7").await.body;
    assert!(page.contains("/plots/best?days=7\"") && page.contains("days=7\" aria-current=\"true\""));
}

#[tokio::test]
async fn a_past_version_shows_its_own_numbers() {
    let house = House::open().await;
    let record = house.shop().await;
    let first = house.stores.history.version("product-page", 1).await.unwrap().unwrap();
    let rows = first.rows(&house.stores.memory);
    let reply = house.get(&format!("{PAGE}?version=1")).await;
    assert_manners(&reply);
    let whole = reply.body.split("<caption>Arms over all visitors").nth(1).unwrap();
    for arm in &rows {
        let row = row(whole, &format!("<span>{}<", arm.id));
        let numbers = [arm.p_best, arm.expected_loss, arm.allocation, arm.interval[0], arm.interval[1]];
        for number in numbers.map(exact).into_iter().chain([exact(arm.trials), exact(arm.rewards)]) {
            assert!(row.contains(&number), "{number} in {row}");
        }
    }
    let now = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    assert_ne!(rows[1].trials, now.arms[1].trials);
    assert!(reply.body.contains("You look at the past") && !reply.body.contains("data-refresh-seconds"));
    assert!(reply.body.contains("min=\"1\" max=\"3\" value=\"1\""));
    assert!(
        reply.body.contains(&format!("href=\"{PAGE}?version=2\" rel=\"next\"")) && !reply.body.contains("rel=\"prev\"")
    );
    assert!(reply.body.contains("/plots/densities?version=1\""));
    let figure: Value =
        serde_json::from_str(&house.get(&format!("{PAGE}/plots/densities?version=1")).await.body).unwrap();
    let [low, high] = rows[1].posterior.interval(0.9998);
    let xs: Vec<f64> = serde_json::from_value(figure["data"][1]["x"].clone()).unwrap();
    assert!(low < xs[0] && xs[0] < xs[xs.len() - 1] && xs[xs.len() - 1] < high);
    let second = house.get(&format!("{PAGE}?version=2")).await.body;
    assert!(second.contains(&format!("href=\"{PAGE}\" rel=\"next\"")), "the newest has no version in its address");
    for query in ["", "?version=3", "?version=99", "?version=x"] {
        let page = house.get(&format!("{PAGE}{query}")).await.body;
        assert!(!page.contains("You look at the past") && page.contains("data-refresh-seconds"), "{query}");
    }
    let file = house.get(&format!("{PAGE}?version=1&table=arms&as=json")).await;
    let file: Value = serde_json::from_str(&file.body).unwrap();
    assert_eq!((file[1]["p_best"].as_f64(), file[1]["trials"].as_u64()), (Some(rows[1].p_best), Some(rows[1].trials)));
}

#[tokio::test]
async fn what_was_earned_is_that_of_the_version() {
    let house = House::open().await;
    house.shop().await;
    let mut entry = house.stores.history.version("product-page", 3).await.unwrap().unwrap();
    entry.version = 4;
    entry.as_of = "2026-11-21T09:20:00Z".parse().unwrap();
    // Of 100 trials, 20 rewarded; an even split would have had 12.5.
    entry.gain = Some(bandit::evaluate::Gain {
        trials: 100,
        rewards: 20,
        uniform: 0.125,
        total: 7.5,
        interval: [-1.5, 16.5],
        effective_trials: 40.0,
    });
    entry.sample_ratio = Some(1.5);
    entry.propensities = vec![0, 0, 0, 0, 0, 100];
    house.stores.history.keep("product-page", &[entry]).await.unwrap();
    let page = house.get(PAGE).await.body;
    for number in [7.5, -1.5, 16.5, 0.125] {
        assert!(page.contains(&exact(number)), "{number}");
    }
    let plot = async |name: &str| -> Value {
        serde_json::from_str(&house.get(&format!("{PAGE}/plots/{name}")).await.body).unwrap()
    };
    assert_eq!(plot("gain").await["data"][2]["y"], json!([7.5]));
    let rewards = plot("rewards").await;
    assert_eq!((&rewards["data"][0]["y"], &rewards["data"][1]["y"]), (&json!([20.0]), &json!([12.5])));
    assert_eq!(plot("propensities").await["data"][0]["y"], json!([0, 0, 0, 0, 0, 100]));
    let ratio = plot("sample-ratio").await;
    let (evidence, alarm) = (ratio["data"][0]["y"][0].as_f64().unwrap(), ratio["data"][1]["y"][0].as_f64().unwrap());
    assert!((evidence - 1.5_f64.exp()).abs() < 1e-5 && (alarm - 100.0).abs() < 1e-3);
}

/// Numbers of a kept version stand beside those of this moment: each says which it is.
#[tokio::test]
async fn numbers_of_a_version_say_as_of_when() {
    let house = House::open().await;
    let record = house.shop().await;
    let mut entry = house.stores.history.version("product-page", 3).await.unwrap().unwrap();
    let gain = |trials| bandit::evaluate::Gain {
        trials,
        rewards: 20,
        uniform: 0.125,
        total: 7.5,
        interval: [-1.5, 16.5],
        effective_trials: 40.0,
    };
    // Propensities are weighed by the hour.
    (entry.version, entry.as_of) = (4, "2026-11-21T09:20:00Z".parse().unwrap());
    (entry.gain, entry.propensities) = (Some(gain(100)), vec![0, 0, 0, 0, 0, 100]);
    house.stores.history.keep("product-page", &[entry.clone()]).await.unwrap();
    house.try_out(&record.definition, "device=tv", 1, 40, 10).await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    let now: u64 = results.arms.iter().map(|arm| arm.trials).sum();
    assert!(now > 1_500, "more than the version knows of");
    let page = house.get(PAGE).await.body;
    let of = |page: &str, id: &str| {
        page.split(&format!("id=\"{id}\"")).nth(1).unwrap().split("class=\"plot").next().unwrap().to_owned()
    };
    let since = "<time datetime=\"2026-11-21T09:00:00Z\">2026-11-21 09:00:00</time> <span class=\"quiet\">1 h ago</span>, \
                 in version <data value=\"4\">4</data>: what was decided or rewarded since is not in it.";
    for id in ["offpolicy", "propensities"] {
        assert!(of(&page, id).contains(&format!("As of {since}")), "{id}: {}", of(&page, id));
    }
    assert!(page.contains("by the log as of version <data value=\"4\">4</data>."), "in the answers");
    let holdout = of(&page, "holdout");
    let groups = results.holdout.unwrap();
    for number in [groups.holdout.trials, groups.policy.trials, groups.policy.rewards] {
        assert!(holdout.contains(&exact(number)), "the holdout is as results have it: {holdout}");
    }
    assert_eq!(groups.holdout.trials + groups.policy.trials, now);
    assert!(holdout.contains(&exact(groups.difference.unwrap().difference)));
    let request = Request::get(PAGE).header("accept-language", "ja").body(Body::empty()).unwrap();
    let japanese = house.send(request).await.body;
    assert!(of(&japanese, "offpolicy").contains("時点（バージョン <data value=\"4\">4</data>）の値です。"));

    // Once it has stopped, versions are published for late rewards, and nothing more is weighed.
    let change = house.change("enough");
    let all = &house.stores.experiments;
    all.set_status("product-page", bandit::Status::Running, bandit::Status::Stopped, None, &change).await.unwrap();
    (entry.version, entry.as_of) = (5, house.now + jiff::SignedDuration::from_hours(1));
    house.stores.history.keep("product-page", &[entry]).await.unwrap();
    let page = house.get(PAGE).await.body;
    assert!(of(&page, "offpolicy").contains("As of the last update before the experiment stopped (<time"), "{page}");
}

/// However many versions there are, and however far plots over time go back: it is that of the version that the page shows.
#[tokio::test]
async fn propensities_are_those_of_the_version() {
    let house = House::open().await;
    house.shop().await;
    house.begin(json!({"id": "old", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "x"}})).await;
    let mut entry = house.stores.history.version("product-page", 3).await.unwrap().unwrap();
    for version in 1..=300 {
        entry.version = version;
        entry.as_of = house.now - jiff::SignedDuration::from_hours(24 * 30 - i64::try_from(version).unwrap());
        entry.propensities = vec![version; 13];
        house.stores.history.keep("old", &[entry.clone()]).await.unwrap();
    }
    for (query, shown) in [("?version=151", 151), ("?version=152&days=7", 152), ("", 300), ("?days=7", 300)] {
        let plot = house.get(&format!("/dashboard/experiments/old/plots/propensities{query}")).await.body;
        let plot: Value = serde_json::from_str(&plot).unwrap();
        assert_eq!(plot["data"][0]["y"][0], shown, "{query}");
    }
}

#[tokio::test]
async fn changes_are_told_in_pages() {
    let house = House::open().await;
    let record = house.begin(json!({"id": "e", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "x"}})).await;
    let mut definition = record.definition.clone();
    for n in 0..25 {
        definition.name = format!("name {n}");
        let why = format!("reason {n}.");
        let change = store::Change { who: "tester".into(), why, at: house.now, request: String::new() };
        house.stores.experiments.replace(&definition, n + 1, bandit::Status::Running, &change).await.unwrap();
    }
    let page = house.get("/dashboard/experiments/e").await.body;
    assert!(page.contains("reason 24.") && page.contains("reason 5.") && !page.contains("reason 4."));
    assert!(page.contains("<bdi>name</bdi>"), "which field was changed");
    let older = page.split("href=\"").find(|h| h.starts_with("/dashboard/experiments/e?before=")).unwrap();
    let older = house.get(older.split(['"', '#']).next().unwrap()).await.body;
    assert!(older.contains("reason 4.") && older.contains(">created<") && !older.contains("reason 5."));
    let file = house.get("/dashboard/experiments/e?table=changes&as=csv").await;
    assert_eq!(file.body.lines().count(), 28, "all that there are, and a head");
}

#[tokio::test]
async fn frozen_experiments_say_what_to_do() {
    let house = House::open().await;
    let record = house.shop().await;
    let change = store::Change { who: "updater".into(), why: "a breach".into(), at: house.now, request: String::new() };
    house.stores.experiments.freeze("product-page", record.revision, &change).await.unwrap();
    let page = house.get(PAGE).await.body;
    assert!(page.contains("Frozen since") && page.contains("href=\"#guardrails\""));
}

/// No page is larger than 300 KB with everything that its plots load.
#[tokio::test]
async fn pages_are_bounded_however_large_the_experiment() {
    let house = House::open().await;
    let size = house::crowd::Size { experiments: 30, arms: 50, segments: 200, versions: 150, trials: 2 };
    house.crowd(size).await;
    for page in house::paths::PAGES {
        let reply = house.get(page).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}");
        let mut bytes = reply.body.len();
        for plot in reply.body.split("data-plot=\"").skip(1) {
            let uri = plot.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
            let plot = house.get(&uri).await;
            assert_eq!(plot.status, StatusCode::OK, "{uri}");
            println!("{:>8} {uri}", plot.body.len());
            bytes += plot.body.len();
        }
        println!("{bytes:>8} {page}");
        assert!(bytes <= 300 * 1024, "{page}: {bytes}");
    }
}

#[tokio::test]
async fn a_draft_has_pages_and_plots_too() {
    let house = House::open().await;
    let e: bandit::Experiment =
        serde_json::from_value(json!({"id": "draft", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "x"}}))
            .unwrap();
    let change = store::Change { who: "tester".into(), why: String::new(), at: house.now, request: String::new() };
    house.stores.experiments.create(&e, &change).await.unwrap();
    let page = house.get("/dashboard/experiments/draft").await;
    assert_manners(&page);
    assert!(page.body.contains("POST /v1/experiments/draft/start") && !page.body.contains("data-refresh-seconds"));
    assert!(!page.body.contains("<th scope=\"col\">Dealt by</th>"));
    for (plot, traces) in [
        ("densities", 2),
        ("best", 0),
        ("allocation", 0),
        ("rewards", 0),
        ("gain", 0),
        ("holdout", 0),
        ("remaining", 0),
        ("sample-ratio", 0),
        ("propensities", 0),
        ("delay", 0),
        ("segments", 0),
    ] {
        let reply = house.get(&format!("/dashboard/experiments/draft/plots/{plot}")).await;
        let figure: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(figure["data"].as_array().unwrap().len(), traces, "{plot}");
        let why = figure["layout"]["annotations"][0]["text"].as_str().unwrap_or_default();
        assert!(traces > 0 || why.ends_with('.'), "{plot} says what it lacks: {figure}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_links_back() {
    let house = House::open().await;
    for uri in [
        "/dashboard/experiments/nothing",
        "/dashboard/experiments/nothing/plots/densities",
        "/dashboard/experiments/nothing/plots/allocation",
        "/dashboard/experiments/nothing/plots/%ff",
        "/dashboard/experiments/%ff",
        "/dashboard/assets/nothing.js",
        "/dashboard/elsewhere/deep",
    ] {
        let reply = house.get(uri).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{uri}");
        assert_manners(&reply);
        assert!(reply.body.contains("href=\"/dashboard\">Back to the experiments"), "{uri}");
    }
    assert_eq!(house.get("/dashboard/").await.headers[header::LOCATION], "/dashboard");
}

#[tokio::test]
async fn a_failing_store_shows_no_internals() {
    let house = House::open().await;
    let record = house.shop().await;
    let mut set = house.stores.posteriors.latest("product-page").await.unwrap().unwrap();
    set.version += 1;
    set.segments.values_mut().for_each(|list| list[0].propensity = 7.0);
    house.stores.posteriors.publish(&set).await.unwrap();
    let cause =
        store::results(&house.stores, &record, house.now, store::Detail::Segments).await.unwrap_err().to_string();
    let whole = house.get(PAGE).await;
    assert_eq!(whole.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_manners(&whole);
    assert!(whole.body.contains("This page failed") && !whole.body.contains(&cause) && !whole.body.contains("damaged"));
    assert_eq!(house.get(&format!("{PAGE}/plots/densities")).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let list = house.get("/dashboard").await;
    assert_eq!(list.status, StatusCode::OK);
    assert!(list.body.contains("The results cannot be read") && !list.body.contains("damaged"));
}

#[tokio::test]
async fn assets_are_kept_by_browsers() {
    let house = House::open().await;
    for (file, kind, part) in [
        ("plotly.js", "text/javascript; charset=utf-8", "Plotly"),
        ("dashboard.js", "text/javascript; charset=utf-8", "use strict"),
        ("dashboard.css", "text/css; charset=utf-8", "prefers-color-scheme: dark"),
        ("icon.svg", "image/svg+xml; charset=utf-8", "<svg"),
    ] {
        let uri = format!("/dashboard/assets/{file}");
        let reply = house.get(&uri).await;
        assert_manners(&reply);
        assert_eq!((reply.status, &reply.headers[header::CONTENT_TYPE]), (StatusCode::OK, &kind.parse().unwrap()));
        assert!(reply.body.contains(part) && !reply.body.starts_with("<script"), "{file}");
        assert!(reply.headers[header::CACHE_CONTROL].to_str().unwrap().contains("max-age=31536000"));
        let etag = &reply.headers[header::ETAG];
        let again = Request::get(&uri).header(header::IF_NONE_MATCH, etag).body(Body::empty()).unwrap();
        let again = house.send(again).await;
        assert_eq!((again.status, again.body.len(), &again.headers[header::ETAG]), (StatusCode::NOT_MODIFIED, 0, etag));
    }
}

#[tokio::test]
async fn levels_are_those_that_were_used() {
    let house = House::open().await;
    let definition = |confidence: f64| {
        json!({"id": "sure", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "buy", "window_hours": 24},
            "stopping": {"confidence": confidence}})
    };
    let record = house.begin(definition(0.9999)).await;
    for arm in [0, 1] {
        house.try_out(&record.definition, "", arm, 200, 20).await;
    }
    house.publish(&record, 2).await;
    // The rule asks for less from now on; what was published before does not become less sure.
    let (e, change) = (serde_json::from_value(definition(0.9)).unwrap(), house.change("less"));
    let record = house.stores.experiments.replace(&e, record.revision, record.status, &change).await.unwrap();
    let page = house.get("/dashboard/experiments/sure").await.body;
    let level = "<data value=\"0.9999\">99.99%</data> probability";
    assert_eq!(page.matches(level).count(), 2, "in the answers and beside the plot");
    house.publish(&record, 1).await;
    let page = house.get("/dashboard/experiments/sure").await.body;
    assert_eq!(page.matches("<data value=\"0.9\">90%</data> probability").count(), 2);
    let plot = house.get("/dashboard/experiments/sure/plots/remaining").await;
    let plot: Value = serde_json::from_str(&plot.body).unwrap();
    let names: Vec<_> = plot["data"].as_array().unwrap().iter().map(|line| line["name"].clone()).collect();
    assert_eq!(names[..2], ["Value remaining, at most (90%)", "Value remaining, at most (99.99%)"]);
    let file = house.get("/dashboard/experiments/sure?table=arms&as=json").await;
    assert_eq!(serde_json::from_str::<Value>(&file.body).unwrap()[0]["interval_level"], 0.95);
}

#[tokio::test]
async fn a_version_that_cannot_be_read_hides_no_other() {
    let house = House::open().await;
    let record = house.shop().await;
    let mut strange = house.stores.history.version("product-page", 3).await.unwrap().unwrap();
    (strange.version, strange.format, strange.as_of) = (4, store::HISTORY_FORMAT + 1, house.now);
    house.stores.history.keep(&record.definition.id, &[strange]).await.unwrap();
    let page = house.get(PAGE).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<data value=\"1\">1</data> versions of its past cannot be read"));
    assert!(page.body.contains("name=\"version\" min=\"1\" max=\"3\" value=\"3\""), "the newest that can be read");
    let asked = house.get(&format!("{PAGE}?version=4")).await;
    assert_eq!(asked.status, StatusCode::OK);
    let plot = house.get(&format!("{PAGE}/plots/best")).await;
    assert!(plot.body.contains("without versions that cannot be read"), "{}", plot.body);
    assert_eq!(house.get("/dashboard").await.status, StatusCode::OK);
}
