package benchmark

import (
	"slices"
	"strings"
)

// Judgement is what comes of a benchmark over all sites.
type Judgement struct {
	Benchmark     string       `json:"benchmark"`
	Verdict       Verdict      `json:"verdict"` // fail if a criterion fails; else pass only if all pass
	Pass          int          `json:"pass"`    // sites that pass every criterion
	Fail          int          `json:"fail"`    // sites that fail one
	NotEnoughData int          `json:"not_enough_data"`
	Criteria      []Outcome    `json:"criteria"` // in the order of the benchmark
	Sites         []SiteResult `json:"sites"`    // by id
}

// Outcome is one criterion over all sites.
type Outcome struct {
	Criterion     string   `json:"criterion"`
	Verdict       Verdict  `json:"verdict"`
	Pass          int      `json:"pass"` // sites
	Fail          int      `json:"fail"`
	NotEnoughData int      `json:"not_enough_data"`
	Least         *float64 `json:"least_share,omitempty"` // of all sites that pass, if none of those without a verdict would; absent without sites
	Most          *float64 `json:"most_share,omitempty"`  // if all of them would
	Needed        float64  `json:"needed_share"`          // share_of_sites of the benchmark
}

// SiteResult is one site: fail if it fails a criterion, else pass only if it passes all.
type SiteResult struct {
	Site    string   `json:"site"`
	Verdict Verdict  `json:"verdict"`
	Results []Result `json:"results"` // in the order of the benchmark
}

// Judge holds sites against the benchmark. Whatever is not known of a site may be a pass or a fail: the programme passes a criterion
// only if it would with all those sites failing, and fails it only if it would with all of them passing.
func (b *Benchmark) Judge(sites []Measures) Judgement {
	j := Judgement{Benchmark: b.ID, Criteria: make([]Outcome, len(b.Criteria)), Sites: make([]SiteResult, 0, len(sites))}
	for i := range sites {
		s := SiteResult{Site: sites[i].Site, Results: make([]Result, len(b.Criteria))}
		verdicts := make([]Verdict, len(b.Criteria))
		for n := range b.Criteria {
			s.Results[n] = b.Criteria[n].Judge(&sites[i])
			verdicts[n] = s.Results[n].Verdict
			count(verdicts[n], &j.Criteria[n].Pass, &j.Criteria[n].Fail, &j.Criteria[n].NotEnoughData)
		}
		s.Verdict = together(verdicts)
		count(s.Verdict, &j.Pass, &j.Fail, &j.NotEnoughData)
		j.Sites = append(j.Sites, s)
	}
	slices.SortStableFunc(j.Sites, func(a, b SiteResult) int { return strings.Compare(a.Site, b.Site) })
	var verdicts []Verdict
	for n := range j.Criteria {
		o := &j.Criteria[n]
		o.Criterion, o.Needed = b.Criteria[n].ID, b.ShareOfSites
		o.decide(len(sites))
		verdicts = append(verdicts, o.Verdict)
	}
	j.Verdict = together(verdicts)
	return j
}

func (o *Outcome) decide(sites int) {
	o.Verdict = NotEnoughData
	if sites == 0 {
		return
	}
	least, most := six(float64(o.Pass)/float64(sites)), six(float64(o.Pass+o.NotEnoughData)/float64(sites))
	o.Least, o.Most = &least, &most
	switch {
	case least >= o.Needed:
		o.Verdict = Pass
	case most < o.Needed:
		o.Verdict = Fail
	}
}

func count(v Verdict, pass, fail, none *int) {
	switch v {
	case Pass:
		*pass++
	case Fail:
		*fail++
	default:
		*none++
	}
}

// together is fail if one fails, and pass only if all pass.
func together(all []Verdict) Verdict {
	switch {
	case slices.Contains(all, Fail):
		return Fail
	case len(all) == 0 || slices.Contains(all, NotEnoughData):
		return NotEnoughData
	}
	return Pass
}
