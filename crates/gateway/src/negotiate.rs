//! Media types: which form of the data an `Accept` header asks for (RFC 9110 §12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use caudal_core::export::ExportFormat;
use caudal_core::{Error, ErrorKind};

use crate::header_list::{elements, split_unquoted};
use crate::problem::Problem;

/// The form of the data that `Accept` asks for; `None` is "as it is stored", which is the answer where
/// the client does not mind.
///
/// # Errors
/// `NotAcceptable` that names every form there is.
pub fn export_format(headers: &HeaderMap) -> Result<Option<ExportFormat>, Problem> {
    let ranges: Vec<MediaRange> =
        elements(headers, &ACCEPT).iter().filter_map(|e| MediaRange::read(e)).collect();
    if ranges.is_empty() {
        return Ok(None);
    }
    let mut best = (ExportFormat::Json, 0.0);
    let mut none_refused = true;
    for format in ExportFormat::ALL {
        let quality = quality(&ranges, format);
        none_refused &= quality > 0.0;
        if quality > best.1 {
            best = (format, quality);
        }
    }
    let any = ranges.iter().find(|r| r.precision() == 0).map_or(0.0, |r| r.quality);
    match best {
        (_, 0.0) => Err(not_acceptable()),
        (_, quality) if none_refused && any >= quality => Ok(None),
        (format, _) => Ok(Some(format)),
    }
}

fn not_acceptable() -> Problem {
    let forms: Vec<_> = ExportFormat::ALL.iter().map(|f| f.media_type()).collect();
    let detail = format!("nothing that Accept names can be written; there are {}", forms.join(", "));
    Error::new(ErrorKind::NotAcceptable, detail)
        .hint("leave Accept out to get the data as it is stored")
        .into()
}

/// The quality that the most precise matching range gives a format; 0 where none matches.
fn quality(ranges: &[MediaRange], format: ExportFormat) -> f32 {
    let matching = ranges.iter().filter(|range| range.matches(format.media_type()));
    matching.min_by_key(|range| std::cmp::Reverse(range.precision())).map_or(0.0, |range| range.quality)
}

/// One element of `Accept`. Parameters other than `q` are not looked at.
struct MediaRange {
    /// Lower case: `text`, or `*`.
    top: String,
    /// Lower case: `csv`, or `*`.
    sub: String,
    /// 0 to 1.
    quality: f32,
}

impl MediaRange {
    /// `None` where the element is not a media range.
    fn read(element: &str) -> Option<MediaRange> {
        let mut parts = split_unquoted(element, ';');
        let (top, sub) = parts.next()?.split_once('/')?;
        let (top, sub) = (top.trim().to_ascii_lowercase(), sub.trim().to_ascii_lowercase());
        if top.is_empty() || sub.is_empty() || (top == "*" && sub != "*") {
            return None;
        }
        let weight =
            parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let quality = match weight {
            Some((_, value)) => value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
            None => 1.0,
        };
        Some(MediaRange { top, sub, quality })
    }

    /// 0 for `*/*`, 1 for `text/*`, 2 for `text/csv`.
    fn precision(&self) -> u8 {
        u8::from(self.top != "*") + u8::from(self.sub != "*")
    }

    fn matches(&self, media_type: &str) -> bool {
        let (top, sub) = media_type.split_once('/').unwrap_or((media_type, ""));
        (self.top == "*" || self.top == top) && (self.sub == "*" || self.sub == sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Result<Option<ExportFormat>, ErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().expect("a header"));
        export_format(&headers).map_err(|problem| problem.kind())
    }

    #[test]
    fn every_format_is_chosen_by_its_own_media_type() {
        for format in ExportFormat::ALL {
            assert_eq!(accept(format.media_type()), Ok(Some(format)));
            assert_eq!(accept(&format.media_type().to_uppercase()), Ok(Some(format)));
        }
    }

    #[test]
    fn who_does_not_mind_gets_the_data_as_it_is_stored() {
        assert_eq!(export_format(&HeaderMap::new()).map_err(|p| p.kind()), Ok(None));
        for value in ["*/*", "text/html, */*;q=0.8", "text/csv;q=0.5, */*", "", "nonsense"] {
            assert_eq!(accept(value), Ok(None), "{value}");
        }
    }

    #[test]
    fn the_highest_quality_wins_and_the_most_precise_range_gives_it() {
        assert_eq!(accept("application/json;q=0.2, text/csv;q=0.9"), Ok(Some(ExportFormat::Csv)));
        assert_eq!(accept("text/csv, */*;q=0.1"), Ok(Some(ExportFormat::Csv)));
        assert_eq!(accept("application/*, application/json;q=0.1"), Ok(Some(ExportFormat::Ndjson)));
        assert_eq!(accept("text/*"), Ok(Some(ExportFormat::Csv)));
        assert_eq!(
            accept("application/x-ndjson; charset=\"a,b;q=0\"; q=0.5"),
            Ok(Some(ExportFormat::Ndjson))
        );
    }

    #[test]
    fn what_is_refused_by_name_is_not_chosen_through_a_wildcard() {
        assert_eq!(accept("*/*, application/json;q=0"), Ok(Some(ExportFormat::Ndjson)));
        assert_eq!(accept("text/*, text/csv;q=0"), Err(ErrorKind::NotAcceptable));
    }

    #[test]
    fn a_form_that_is_not_written_is_not_acceptable() {
        for value in ["image/png", "text/html;q=0.3", "*/*;q=0"] {
            assert_eq!(accept(value), Err(ErrorKind::NotAcceptable), "{value}");
        }
    }
}
