package prose

import (
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// use is loss, round trips, volume and clients, with the sites behind each.
func (t tables) use() press.Data {
	type f = of[report.Findings]
	n := func(name, what string, value func(report.Findings) int) column[f] {
		return count(name, "", what, func(v f) int64 { return int64(value(v.v)) })
	}
	columns := []column[f]{siteColumn[report.Findings](), n("sites", "Sites that are counted", func(v report.Findings) int { return v.Sites }),
		n("rtt_sites", "Of these, those that counted round trips", func(v report.Findings) int { return v.Latency.Sites }), n("loss_sites", "Those that sent probes", func(v report.Findings) int { return v.Loss.Sites }),
		n("volume_sites", "Those that measured their volume", func(v report.Findings) int { return v.Volume.Sites }), n("clients_sites", "Those that counted their clients", func(v report.Findings) int { return v.Clients.Sites })}
	columns = append(columns, within(func(v f) report.Findings { return v.v }, useColumns()...)...)
	return table("use", "Round trips, loss, volume and clients", "Of all sites together clients are the sums of each site's figure.",
		each(t, func(f report.Findings) []report.Findings { return []report.Findings{f} }), columns...)
}

// useColumns are what agents counted while they ran.
func useColumns() []column[report.Findings] {
	type f = report.Findings
	return []column[f]{
		count("watched_ms", "ms", "Time on which the next columns stand", func(v f) int64 { return v.WatchedMs }),
		perhaps("rtt_median_over_ms", "ms", "The median round trip is more than this", func(v f) *int64 { return over(v.Latency.Median) }),
		perhaps("rtt_median_at_most_ms", "ms", "and at most this; empty: over the last edge, or nothing was counted", func(v f) *int64 { return atMost(v.Latency.Median) }),
		perhaps("rtt_p95_over_ms", "ms", "The 95th percentile of round trips is more than this", func(v f) *int64 { return over(v.Latency.P95) }),
		perhaps("rtt_p95_at_most_ms", "ms", "and at most this; empty: over the last edge, or nothing was counted", func(v f) *int64 { return atMost(v.Latency.P95) }),
		count("sent", "", "Probes sent", func(v f) int64 { return v.Loss.Sent }),
		count("lost", "", "Probes without an answer", func(v f) int64 { return v.Loss.Lost }),
		fraction("loss", "lost / sent", func(v f) *float64 { return v.Loss.Share }),
		perhaps("rx_bytes", "byte", "Data received over the link", func(v f) *int64 { return where(v.Volume.Sites, v.Volume.RxBytes) }),
		perhaps("tx_bytes", "byte", "Data sent over the link", func(v f) *int64 { return where(v.Volume.Sites, v.Volume.TxBytes) }),
		perhaps("clients_most", "", "The most clients at once", func(v f) *int64 { return v.Clients.Most }),
		number("clients_mean_hour_peak", "", "Mean over hours of the most in each", func(v f) *float64 { return v.Clients.MeanPeak })}
}

func over(q *report.Quantile) *int64 {
	if q == nil {
		return nil
	}
	return &q.OverMs
}

func atMost(q *report.Quantile) *int64 {
	if q == nil {
		return nil
	}
	return q.AtMostMs
}
