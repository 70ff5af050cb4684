//! Arguments that several commands share.

use super::target::Url;
use crate::check::RewardModel;
use crate::failure::Failure;
use crate::map::{Base, Mapping, Rule, Setting};
use crate::plan::{Rate, Speed, Spread, Timing, duration};
use crate::report::Assertion;
use crate::send::Target;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Where requests go, and how patiently.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    /// Where requests go, as in http://127.0.0.1:8080
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub(crate) target: Url,
    /// Send everything there too, and tell differences of the answers
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub(crate) compare: Option<Url>,
    /// Most connections to a target; they are opened as they are needed
    #[arg(long, default_value_t = 256, value_name = "N", help_heading = "Target")]
    pub(crate) connections: usize,
    /// After which a request is given up
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration, help_heading = "Target")]
    pub(crate) timeout: Duration,
    /// End the run when nothing was answered for so long
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration, help_heading = "Target")]
    pub(crate) patience: Duration,
    /// Header for every request, as in 'authorization: Bearer …'
    #[arg(long, value_name = "NAME: VALUE", help_heading = "Target")]
    pub(crate) header: Vec<String>,
    /// A host that is not this machine, to which load may go
    #[arg(long, value_name = "HOST", help_heading = "Target")]
    pub(crate) allow_host: Vec<String>,
    /// A method that may change something where it goes, as in POST. GET, HEAD and OPTIONS need no leave: HTTP calls
    /// them safe, and a decide by GET deals a user an arm at most once a day, as any visit would
    #[arg(long, value_name = "METHOD", help_heading = "Target")]
    pub(crate) allow_method: Vec<String>,
    /// Send only on multiples of this: coarse costs less. An even --rate is planned on them; of all else, what is due in
    /// between goes late together [default: 1ms at an even rate, else 0s, which is exact]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Target")]
    pub(crate) grain: Option<Duration>,
    /// Send lag at the 99th percentile beyond which the run is invalid
    #[arg(long, default_value = "10ms", value_name = "TIME", value_parser = duration, help_heading = "Target")]
    pub(crate) max_lag: Duration,
}

/// What a logged request becomes.
#[derive(Debug, Clone, Args)]
pub(crate) struct MapArgs {
    /// Send the logged requests themselves
    #[arg(long, conflicts_with_all = ["map", "set", "post"], help_heading = "Mapping")]
    pub(crate) as_is: bool,
    /// PLACE:REGEX, where PLACE is path, query.NAME, cookie.NAME, header.NAME, client or method, and groups are named
    /// experiment, user, item or context.NAME, as in 'path:^/p/(?<item>[^/]+)'; the first rule that captures a field
    /// gives it. Where there are rules for the path, one of them must match; a rule without groups is a condition
    #[arg(long, value_name = "RULE", help_heading = "Mapping")]
    pub(crate) map: Vec<Rule>,
    /// FIELD=VALUE for requests that get the field from no rule, as in experiment=product-page
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Mapping")]
    pub(crate) set: Vec<Setting>,
    /// Decide by POST instead of GET; needs --allow-method POST
    #[arg(long, help_heading = "Mapping")]
    pub(crate) post: bool,
    /// Send a hash of each user and this salt in the user's place
    #[arg(long, env = "LOADTEST_SALT", hide_env_values = true, value_name = "SALT", help_heading = "Mapping")]
    pub(crate) hash_users: Option<String>,
    /// Share of users (with --as-is: of clients) that take part, as in 10%
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "100%", help_heading = "Mapping")]
    pub(crate) sample: f64,
    /// A rule like those of --map: lines that it matches are rewards, sent at the log's time; needs --allow-method POST
    #[arg(long, value_name = "RULE", help_heading = "Rewards")]
    pub(crate) reward_map: Vec<Rule>,
    /// Send the rewards of a decision log too, as late as they were; needs --allow-method POST
    #[arg(long, help_heading = "Rewards")]
    pub(crate) rewards: bool,
    /// Reward decisions at these rates, as in 'control=4%,b=6%,*=5%'; needs --allow-method POST
    #[arg(long, value_name = "ARM=RATE,…", help_heading = "Rewards")]
    pub(crate) reward_model: Option<String>,
    /// Mean of the exponential delay of --reward-model, in the run's time
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration, help_heading = "Rewards")]
    pub(crate) reward_delay: Duration,
    /// Name of rewards that have none
    #[arg(long, default_value = "purchase", value_name = "NAME", help_heading = "Rewards")]
    pub(crate) reward_name: String,
}

/// On multiples of this requests of an even rate are due: each wake of this program costs as much as sending several, and
/// where nobody says when in a millisecond they come, that may be at its beginning.
const EVEN_GRAIN: Duration = Duration::from_millis(1);

/// When requests are due.
#[derive(Debug, Clone, Args)]
pub(crate) struct TimingArgs {
    /// How many times as fast as the log
    #[arg(long, default_value = "1x", value_name = "FACTOR", conflicts_with = "rate", help_heading = "Timing")]
    pub(crate) speed: Speed,
    /// A rate in place of the log's clock: 5000/s, in steps 100/s@30s,500/s@30s, or with ramps 0..5000/s@1m,5000/s
    #[arg(long, value_name = "RATE", help_heading = "Timing")]
    pub(crate) rate: Option<Rate>,
    /// How a second is filled that the log does not divide, or with --rate how requests follow each other
    #[arg(long, value_enum, default_value_t, help_heading = "Timing")]
    pub(crate) spread: Spread,
    /// How far a line may be out of order in the log's time; of a log that is still being written, requests are held
    /// for as long
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration, help_heading = "Timing")]
    pub(crate) reorder: Duration,
    /// Cut longer pauses of the log to this
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Timing")]
    pub(crate) max_gap: Option<Duration>,
    /// Begin anew when the log ends
    #[arg(long = "loop", help_heading = "Timing")]
    pub(crate) again: bool,
    /// Stop after so long
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Timing")]
    pub(crate) duration: Option<Duration>,
    /// Seed of what is random
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Timing")]
    pub(crate) seed: u64,
}

/// Where the answer goes.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one page
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) html: Option<PathBuf>,
    /// Exit with 1 unless this holds, as in 'p99<10ms,errors<0.1%'
    #[arg(long, value_delimiter = ',', value_name = "CONDITIONS", help_heading = "Report")]
    pub(crate) assert: Vec<Assertion>,
    /// No progress bar
    #[arg(long, short, help_heading = "Report")]
    pub(crate) quiet: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let read: Option<f64> = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(|p: f64| p / 100.0),
        None => text.parse().ok(),
    };
    read.filter(|share| *share > 0.0 && *share <= 1.0).ok_or_else(|| "is a share above 0, as in 10% or 0.1".to_owned())
}

impl SendArgs {
    /// The targets with their addresses.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, Failure> {
        if !(1..=10_000).contains(&self.connections) {
            return Err(Failure::Argument { argument: "--connections", why: "is between 1 and 10000".to_owned() });
        }
        let urls = [Some(&self.target), self.compare.as_ref()];
        let target = |url: &Url| {
            let address = url.resolve(&self.allow_host)?;
            Ok(Target { name: url.text.clone(), address, connections: self.connections })
        };
        urls.into_iter().flatten().map(target).collect()
    }

    /// What all requests share. A second target gets the very same bytes, the first's name among them.
    pub(crate) fn base(&self) -> Result<Base, Failure> {
        let unfit = |text: &str| Failure::Argument {
            argument: "--header",
            why: format!("'{text}' is no header; it is NAME: VALUE"),
        };
        let header = |text: &String| {
            let (name, value) = text.split_once(':').ok_or_else(|| unfit(text))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            let name = hyper::header::HeaderName::try_from(name).map_err(|_| unfit(text))?;
            hyper::header::HeaderValue::from_str(&value).map_err(|_| unfit(text))?;
            Ok((name.to_string(), value))
        };
        let headers = self.header.iter().map(header).collect::<Result<_, Failure>>()?;
        if self.compare.as_ref().is_some_and(|other| other.prefix != self.target.prefix) {
            let why = "has another path than --target, and both get the same requests".to_owned();
            return Err(Failure::Argument { argument: "--compare", why });
        }
        Ok(Base { host: self.target.authority(), prefix: self.target.prefix.clone(), headers })
    }
}

impl MapArgs {
    /// The mapping, if all that it may send is allowed.
    pub(crate) fn mapping(&self, send: &SendArgs) -> Result<Mapping, Failure> {
        let allowed = ["GET", "HEAD", "OPTIONS"].into_iter().map(str::to_owned);
        let allowed: std::collections::BTreeSet<String> =
            allowed.chain(send.allow_method.iter().map(|method| method.to_ascii_uppercase())).collect();
        let posts = [
            ("--post", self.post),
            ("--reward-map", !self.reward_map.is_empty()),
            ("--rewards", self.rewards),
            ("--reward-model", self.reward_model.is_some()),
        ];
        if let Some((argument, _)) = posts.into_iter().find(|(_, used)| *used && !allowed.contains("POST")) {
            let why = "sends POST, which changes what the target knows: add --allow-method POST if it may".to_owned();
            return Err(Failure::Argument { argument, why });
        }
        let rules = |rules: &Vec<Rule>, settings: &Vec<Setting>| crate::map::Rules {
            rules: rules.clone(),
            settings: settings.clone(),
        };
        Ok(Mapping {
            base: send.base()?,
            as_is: self.as_is,
            rules: rules(&self.map, &self.set),
            rewards: rules(&self.reward_map, &Vec::new()),
            with_rewards: self.rewards,
            reward_name: self.reward_name.clone(),
            post: self.post,
            allowed,
            salt: self.hash_users.clone(),
            sample: self.sample,
        })
    }

    pub(crate) fn reward_model(&self) -> Result<Option<RewardModel>, Failure> {
        let Some(text) = &self.reward_model else { return Ok(None) };
        let unfit = |why| Failure::Argument { argument: "--reward-model", why };
        let rates = text.parse().map_err(unfit)?;
        Ok(Some(RewardModel { name: self.reward_name.clone(), rates, delay: self.reward_delay }))
    }
}

impl TimingArgs {
    /// With the grain that was asked for.
    pub(crate) fn timing(&self, grain: Option<Duration>) -> Timing {
        Timing {
            speed: self.speed,
            rate: self.rate.clone(),
            spread: self.spread,
            grain: grain.unwrap_or(EVEN_GRAIN),
            reorder: self.reorder,
            max_gap: self.max_gap,
            duration: self.duration,
            seed: self.seed,
        }
    }
}
