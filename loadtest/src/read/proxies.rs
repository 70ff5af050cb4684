//! Text logs of AWS load balancers and of Envoy.

use super::clf::quoted;
use super::clock::Clock;
use super::{Entry, Refusal, Stamps, path_of, request_line};
use std::borrow::Cow;

/// The first words of an ALB's lines.
const KINDS: [&str; 6] = ["http ", "https ", "h2 ", "grpcs ", "ws ", "wss "];

pub(crate) fn is_alb(line: &str) -> bool {
    KINDS.iter().any(|kind| line.starts_with(kind))
}

/// `type time elb client:port target:port 0.0 0.0 0.0 status status bytes bytes "request" "agent" …`; see
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
pub(crate) fn alb(line: &str, stamps: Stamps) -> Result<Entry<'_>, Refusal> {
    let head: Vec<&str> = line.splitn(13, ' ').collect();
    let [_, time, _, client, _, t1, t2, t3, _, _, _, _, rest] = head[..] else { return Err(Refusal::CutShort) };
    let at = Clock::default().any(time).ok_or(Refusal::NoTime)?;
    let (request, rest) = quoted(rest)?;
    let (method, target) = split(request)?;
    let (agent, _) = quoted(rest)?;
    // -1 says that the target did not answer.
    let took = [t1, t2, t3].iter().filter_map(|t| t.parse::<f64>().ok()).filter(|t| *t > 0.0).sum();
    let client = client.rsplit_once(':').map_or(client, |(host, _)| host);
    let at = at.begun(Some(took), stamps.ends(true));
    Ok(Entry { at, method, target, client: client.into(), headers: agent_header(agent), ..Entry::default() })
}

/// Envoy's default: `[start] "request" code flags received sent duration upstream "xff" "agent" …`; see
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>
pub(crate) fn envoy(line: &str, stamps: Stamps) -> Result<Entry<'_>, Refusal> {
    let (time, rest) = line.strip_prefix('[').and_then(|l| l.split_once(']')).ok_or(Refusal::CutShort)?;
    let at = Clock::default().any(time).ok_or(Refusal::NoTime)?;
    let (request, rest) = quoted(rest)?;
    let (method, target) = split(request)?;
    let rest = rest.trim_ascii_start();
    let (numbers, rest) = rest.split_at(rest.find(" \"").ok_or(Refusal::CutShort)?);
    let took = numbers.split(' ').nth(4).and_then(|ms| ms.parse::<f64>().ok()).map(|ms| ms / 1e3);
    // Newer versions tell between flags and bytes, in quotes, how the upstream ended.
    let mut fields = Vec::with_capacity(3);
    let mut rest = rest;
    while let Ok((field, after)) = quoted(rest) {
        fields.push(field);
        rest = after.trim_ascii_start();
    }
    let mut fields = fields.into_iter();
    let client = fields.next().unwrap_or_default();
    let agent = fields.next().unwrap_or_default();
    let at = at.begun(took, stamps.ends(false));
    Ok(Entry { at, method, target, client, headers: agent_header(agent), ..Entry::default() })
}

fn split(request: Cow<'_, str>) -> Result<(Cow<'_, str>, Cow<'_, str>), Refusal> {
    Ok(match request {
        Cow::Borrowed(text) => request_line(text).map(|(m, t)| (m.into(), path_of(t).into()))?,
        Cow::Owned(text) => request_line(&text).map(|(m, t)| (m.to_owned().into(), path_of(t).to_owned().into()))?,
    })
}

fn agent_header<'a>(agent: Cow<'a, str>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    if agent.is_empty() || agent == "-" { Vec::new() } else { vec![("user-agent".into(), agent)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancers_line() {
        let line = r#"https 2018-07-02T22:23:00.186641Z app/my-lb/50dc 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/p?q=1 HTTP/1.1" "curl/7.46.0" ECDHE TLSv1.2 arn:x "Root=1" "x" "y" 1 2018-07-02T22:22:48.364000Z "forward" "-" "-""#;
        let got = alb(line, Stamps::Auto).unwrap();
        assert_eq!((&*got.client, &*got.target, got.at.coarse), ("192.168.131.39", "/p?q=1", false));
        assert_eq!(got.at.ns, 1_530_570_180_186_641_000 - 171_000_000);
        assert!(is_alb(line) && !is_alb("198.18.0.0 - -"));
        assert_eq!(alb("http 2018-07-02T22:23:00Z app", Stamps::Auto).err(), Some(Refusal::CutShort));
    }

    #[test]
    fn envoys_default_line() {
        let line = r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21" "locations" "tcp://10.0.2.1:80""#;
        let got = envoy(line, Stamps::Auto).unwrap();
        assert_eq!((&*got.method, &*got.client, got.at.ns), ("POST", "10.0.35.28", 1_460_751_420_310_000_000));
        assert_eq!(envoy(line, Stamps::End).unwrap().at.ns, 1_460_751_420_310_000_000 - 226_000_000);
        assert_eq!(envoy("[2016-04-15T20:17:00.310Z] \"POST", Stamps::Auto).err(), Some(Refusal::CutShort));
    }
}
