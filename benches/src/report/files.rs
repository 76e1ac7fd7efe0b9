//! The results in the repository.

use std::path::Path;

use anyhow::{Context, Result};
use cdc_e2e::services::checkout;

use super::{Report, table};

/// One file a case.
const RESULTS: &str = "benches/results";

/// Has the tables between the markers.
const PAGE: &str = "docs/performance.md";

const BEGIN: &str = "<!-- begin of the results -->\n";
const END: &str = "<!-- end of the results -->";

/// Writes each report to its file, and all that there are now into the documentation.
pub(crate) fn keep(reports: &[Report]) -> Result<()> {
    let results = checkout().join(RESULTS);
    std::fs::create_dir_all(&results)?;
    for report in reports {
        let file = results.join(format!("{}.json", report.case));
        std::fs::write(&file, serde_json::to_string_pretty(report)? + "\n")
            .with_context(|| format!("write {}", file.display()))?;
    }
    let page = checkout().join(PAGE);
    let text = std::fs::read_to_string(&page).context(PAGE)?;
    let text = with_results(&text, &table(&read_all(&results)?)).context(PAGE)?;
    std::fs::write(&page, text).context(PAGE)
}

/// Every kept report, sorted by case.
fn read_all(results: &Path) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    for entry in std::fs::read_dir(results)? {
        let file = entry?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = std::fs::read_to_string(&file)?;
            let report = serde_json::from_str(&text);
            reports.push(report.with_context(|| file.display().to_string())?);
        }
    }
    reports.sort_by(|a, b| a.case.cmp(&b.case));
    Ok(reports)
}

/// `page` with `results` in place of what is between the markers.
fn with_results(page: &str, results: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("no marker of the begin")?;
    let (_, after) = rest.split_once(END).context("no marker of the end")?;
    Ok(format!("{before}{BEGIN}\n{results}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_what_is_between_the_markers() {
        let page = format!("before\n{BEGIN}old\n{END}\nafter\n");
        let new = with_results(&page, "new").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(with_results(&new, "new").unwrap(), new);
    }

    #[test]
    fn refuses_a_page_without_markers() {
        assert!(with_results("text", "new").is_err());
        assert!(with_results(BEGIN, "new").is_err());
    }

    #[test]
    fn the_page_has_the_markers() {
        let page = std::fs::read_to_string(checkout().join(PAGE)).unwrap();
        with_results(&page, "new").unwrap();
    }
}
