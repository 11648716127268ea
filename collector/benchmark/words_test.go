package benchmark

import (
	"fmt"
	"math"
	"strconv"
)

// English is the verdict in words.
func (v Verdict) English() string {
	if v == NotEnoughData {
		return "not enough data"
	}
	return string(v)
}

// English is a result of the criterion as a sentence: the value, what was asked, and what stands behind it, or why there is no verdict.
// A value is rounded to its worse side, so that what fails never looks like a pass.
func (c *Criterion) English(r Result) string {
	m, _ := measureOf(c.Measure)
	switch r.Reason {
	case Met, Missed:
		return fmt.Sprintf("%s: %s; %s%s", r.Verdict.English(), c.valueText(r, m), c.limitText(r, m), behind(r))
	}
	why := map[Reason]string{
		NoTests:        "no test" + c.windowText(),
		FewTests:       fmt.Sprintf("%s%s, %d are needed", counted(r.Tests, "test"), c.windowText(), r.Least),
		NeverTested:    "the ledger has no speed test of the site",
		NoHours:        "nothing was counted",
		FewHours:       fmt.Sprintf("%s, %d are needed", counted(r.Hours, "hour"), r.Least),
		NoTarget:       "no target in the sites file",
		NoStudents:     "no students in the sites file",
		NothingKnown:   "nothing is known of the site",
		NotInTheLedger: "it is not kept in the ledger",
	}[r.Reason]
	switch r.Reason {
	case Between:
		why = fmt.Sprintf("%s; %s", c.valueText(r, m), c.limitText(r, m))
	case Incomplete:
		why = "too little of the time is known to cite a figure"
		if r.Complete != nil {
			why = shown(*r.Complete, "fraction", true) + " of the time is known, too little to cite a figure"
		}
	}
	return r.Verdict.English() + ": " + why
}

func (c *Criterion) valueText(r Result, m Measure) string {
	text := ""
	switch {
	case r.Value != nil:
		text = shown(*r.Value, r.Unit, r.Unit == "fraction" && c.Statistic == statShare || !m.Fewer)
	case r.UpTo == nil && r.Over != nil:
		text = "over " + shown(*r.Over, r.Unit, true)
	case r.Over == nil || r.UpTo == nil:
		return "nothing"
	case c.Statistic == statShare:
		text = fmt.Sprintf("between %s and %s", shown(*r.Over, r.Unit, true), shown(*r.UpTo, r.Unit, false))
	case *r.Over == 0:
		text = "at most " + shown(*r.UpTo, r.Unit, false)
	default:
		text = fmt.Sprintf("over %s, at most %s", number(*r.Over, 0, true), shown(*r.UpTo, r.Unit, false))
	}
	if c.Statistic == statShare && r.TestLimit != nil {
		of := "answers"
		if m.origin == fromTests {
			of = "tests"
		}
		text += fmt.Sprintf(" of %s %s", of, atWhat(*r.TestLimit, m.Unit, m.Fewer))
	}
	return text
}

func (c *Criterion) limitText(r Result, m Measure) string {
	return atWhat(*r.Limit, r.Unit, m.Fewer && c.Statistic != statShare) + " asked"
}

func (c *Criterion) windowText() string {
	if c.Window == windowPeak {
		return " in peak hours"
	}
	return ""
}

// English is the outcome as a sentence.
func (o Outcome) English() string {
	if o.Least == nil || o.Most == nil {
		return o.Verdict.English() + ": there is no site"
	}
	share := shown(*o.Least, "fraction", true)
	if *o.Least != *o.Most {
		share = fmt.Sprintf("between %s and %s", share, shown(*o.Most, "fraction", false))
	}
	return fmt.Sprintf("%s: %s of sites; %s asked (%d pass, %d fail, %d not enough data)", o.Verdict.English(), share,
		atWhat(o.Needed, "fraction", false), o.Pass, o.Fail, o.NotEnoughData)
}

func atWhat(limit float64, unit string, most bool) string {
	if most {
		return "at most " + shown(limit, unit, true)
	}
	return "at least " + shown(limit, unit, false)
}

func behind(r Result) string {
	switch {
	case r.Hours > 0:
		return " (" + counted(r.Hours, "hour") + ")"
	case r.Tests > 0:
		return " (" + counted(r.Tests, "test") + ")"
	}
	return ""
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// shown is a value with its unit, rounded down or up.
func shown(v float64, unit string, down bool) string {
	switch unit {
	case "bit/s":
		return number(v/1e6, 3, down) + " Mbit/s"
	case "fraction":
		return number(v*100, 2, down) + " %"
	case "days":
		if text := number(v, 1, down); text != "1" {
			return text + " days"
		}
		return "1 day"
	}
	return number(v, 1, down) + " " + unit
}

// number has so many decimals at most, rounded down or up.
func number(v float64, decimals int, down bool) string {
	scale := math.Pow10(decimals)
	n := six(v * scale) // 0.29 * 100 is a little less than 29
	if n = math.Ceil(n); down {
		n = math.Floor(six(v * scale))
	}
	return strconv.FormatFloat(n/scale, 'f', -1, 64)
}
