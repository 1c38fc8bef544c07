//! [`Cors`]: which other sites' pages may use a route.

use serde::{Deserialize, Deserializer};

/// Which other sites' pages may use a route, by itself or in a mux request. It holds whatever the
/// route's origin says: preflights are answered here, with leave for any method and field. Without
/// it the origin's word holds for the route itself, and no page of another site may name it in a mux
/// request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cors {
    /// Their origins, such as `https://app.example.com`, or `"*"` for those of all.
    #[serde(deserialize_with = "origins")]
    pub origins: Vec<String>,
    /// Whether they may do so with the user's cookies. Not with `"*"`. Default: false.
    #[serde(default)]
    pub credentials: bool,
}

impl Cors {
    /// Whether pages of this origin may use the route.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }

    /// What the types cannot say.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.credentials && self.origins.iter().any(|origin| origin == "*") {
            return Err("\"*\" with credentials: name the origins that may send cookies");
        }
        Ok(())
    }
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(deserializer)?;
    for origin in &origins {
        let site = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_site = site.is_some_and(|site| {
            !site.is_empty() && site.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        });
        if !is_site && origin != "*" {
            return Err(serde::de::Error::custom(format!(
                "{origin:?} is no origin: expected \"*\", or scheme and host, with a port if it is \
                 not the usual one, such as \"https://app.example.com\""
            )));
        }
    }
    Ok(origins)
}
