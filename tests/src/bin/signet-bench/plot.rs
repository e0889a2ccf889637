//! The figures of issuance as a picture: latency by load, and throughput beside its limit.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*, style::text_anchor::Pos, style::text_anchor::*};

use crate::report::Figure;

const SIZE: (u32, u32) = (1000, 900);
const INK: RGBColor = RGBColor(40, 44, 52);
const PALE: RGBColor = RGBColor(226, 230, 236);
const BLUE_INK: RGBColor = RGBColor(38, 98, 176);
/// Quantiles as they are named, as they are called, and the colour of each.
const QUANTILES: [(&str, &str, RGBColor); 3] = [
    ("p50_ms", "p50", RGBColor(38, 98, 176)),
    ("p99_ms", "p99", RGBColor(224, 138, 30)),
    ("p999_ms", "p99.9", RGBColor(190, 48, 62)),
];

/// An SVG, if the figures that it shows were measured.
pub(crate) fn svg(figures: &[Figure]) -> Result<Option<String>> {
    let (load, bars) = (Load::of(figures), bars(figures));
    let Some(load) = load.filter(|_| !bars.is_empty()) else { return Ok(None) };
    let mut text = String::new();
    draw(&mut text, &load, &bars).map_err(|error| anyhow!("no picture: {error}"))?;
    Ok(Some(text))
}

fn draw(text: &mut String, load: &Load, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.margin(10, 10, 20, 30).split_vertically(480);
    latency(&above, load)?;
    throughput(&below, bars)?;
    root.present()?;
    Ok(())
}

/// Latency at shares of the capacity.
struct Load {
    capacity: f64,
    /// Percent, and the milliseconds of each of [`QUANTILES`].
    points: Vec<(f64, [f64; 3])>,
}

impl Load {
    fn of(figures: &[Figure]) -> Option<Self> {
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        let points = (1..=99).filter_map(|percent| {
            let at = |quantile| value(&format!("issue.open_loop.{percent}.{quantile}"));
            let [p50, p99, p999] = QUANTILES.map(|(name, ..)| at(name));
            Some((f64::from(percent), [p50?, p99?, p999?]))
        });
        let points: Vec<_> = points.collect();
        (!points.is_empty()).then_some(Self { capacity: value("issue.capacity_per_s")?, points })
    }
}

fn latency(area: &DrawingArea<SVGBackend<'_>, Shift>, load: &Load) -> Result<(), Box<dyn Error>> {
    let longest =
        load.points.iter().flat_map(|(_, times)| times).fold(1.0_f64, |longest, time| longest.max(*time));
    let mut chart = ChartBuilder::on(area)
        .caption("How long a certificate takes", ("sans-serif", 24).into_font().color(&INK))
        .margin(10)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..100.0, (0.1..longest * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(PALE)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .x_desc(format!(
            "load, percent of the {:.0} certificates a second that one core issues",
            load.capacity
        ))
        .y_desc("milliseconds from when it was due")
        .x_label_formatter(&|percent| format!("{percent:.0} %"))
        .y_label_formatter(&|time| format!("{time}"))
        .draw()?;
    for (index, (_, name, colour)) in QUANTILES.into_iter().enumerate() {
        let points: Vec<_> = load.points.iter().map(|(percent, times)| (*percent, times[index])).collect();
        let key = move |(x, y)| Rectangle::new([(x, y - 2), (x + 20, y + 2)], colour.filled());
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(3)))?.label(name).legend(key);
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(PALE)
        .label_font(("sans-serif", 16).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// Certificates a second of CPU time: what was measured, and what its cryptography alone would allow.
struct Bar {
    name: &'static str,
    measured: f64,
    limit: f64,
}

/// Ways to ask, as they are named and as they are called, from below.
const WAYS: [(&str, &str); 7] = [
    ("fresh_tls", "new connection each"),
    ("one_at_a_time", "one at a time"),
    ("connections_64", "64 connections"),
    ("fsync", "audit on the disk"),
    ("rsa_csr", "RSA-2048 keys"),
    ("new_tokens", "new tokens"),
    ("repeated_tokens", "repeated tokens"),
];

fn bars(figures: &[Figure]) -> Vec<Bar> {
    let per_second = |way: &str, what: &str| {
        let name = format!("issue.{way}.{what}");
        figures.iter().find(|figure| figure.name == name).map(|figure| 1e6 / figure.value)
    };
    let bar = |(way, name)| {
        Some(Bar { name, measured: per_second(way, "cpu_us")?, limit: per_second(way, "limit_us")? })
    };
    WAYS.into_iter().filter_map(bar).collect()
}

fn throughput(area: &DrawingArea<SVGBackend<'_>, Shift>, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let most = bars.iter().fold(0.0_f64, |most, bar| most.max(bar.limit).max(bar.measured));
    let mut chart = ChartBuilder::on(area)
        .caption(
            "What one core issues, of what its cryptography allows",
            ("sans-serif", 24).into_font().color(&INK),
        )
        .margin(10)
        .x_label_area_size(50)
        .y_label_area_size(170)
        .build_cartesian_2d(0.0..most * 1.08, (0..bars.len()).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(PALE)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .x_desc("certificates per second of CPU time; pale: the limit")
        .x_label_formatter(&|rate| format!("{rate:.0}"))
        .y_labels(bars.len())
        .y_label_formatter(&|place| match place {
            SegmentValue::CenterOf(index) => bars.get(*index).map_or("", |bar| bar.name).to_owned(),
            _ => String::new(),
        })
        .draw()?;
    let block = |index: usize, rate: f64, style: ShapeStyle, inset: u32| {
        let mut block = Rectangle::new(
            [(0.0, SegmentValue::Exact(index)), (rate, SegmentValue::Exact(index + 1))],
            style,
        );
        block.set_margin(inset, inset, 0, 0);
        block
    };
    for (index, bar) in bars.iter().enumerate() {
        chart.draw_series([block(index, bar.limit, PALE.filled(), 5)])?;
        chart.draw_series([block(index, bar.measured, BLUE_INK.filled(), 9)])?;
        let label = ("sans-serif", 15).into_font().color(&WHITE).pos(Pos::new(HPos::Right, VPos::Center));
        let share = format!("{:.0} %  ", 100.0 * bar.measured / bar.limit);
        chart.draw_series([Text::new(share, (bar.measured, SegmentValue::CenterOf(index)), label)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, value: f64) -> Figure {
        Figure::of(name, "", vec![value])
    }

    fn whole() -> Vec<Figure> {
        let mut figures = vec![figure("issue.capacity_per_s", 8000.0)];
        for (percent, factor) in [(10, 1.0), (80, 4.0)] {
            for (index, (quantile, ..)) in (1..).zip(QUANTILES) {
                figures.push(figure(
                    &format!("issue.open_loop.{percent}.{quantile}"),
                    factor * f64::from(index),
                ));
            }
        }
        figures.push(figure("issue.new_tokens.cpu_us", 125.0));
        figures.push(figure("issue.new_tokens.limit_us", 100.0));
        figures
    }

    #[test]
    fn the_picture_shows_the_loads_and_the_ways_that_were_measured() {
        let svg = svg(&whole()).unwrap().unwrap();
        for shown in ["p99.9", "new tokens", "80 %", "8000 certificates"] {
            assert!(svg.contains(shown), "{shown}");
        }
        assert!(!svg.contains("RSA-2048 keys"), "not measured");
    }

    #[test]
    fn there_is_no_picture_of_what_was_not_measured() {
        for missing in ["issue.capacity_per_s", "issue.new_tokens.limit_us"] {
            let figures: Vec<_> = whole().into_iter().filter(|figure| figure.name != missing).collect();
            assert!(svg(&figures).unwrap().is_none(), "{missing}");
        }
    }
}
