package command

import (
	"time"

	"github.com/smartvillage/nabz/collector/limit"
)

// askRates bound how often is asked: host is an agent and a kind, name an operator. Who looks into a site may try a few times; who looks into a
// region may ask each of its sites once.
func askRates() limit.Rates {
	return limit.Rates{Pair: limit.Rate{Burst: 4, Every: 10 * time.Minute}, Host: limit.Rate{Burst: 4, Every: 10 * time.Minute}, Name: limit.Rate{Burst: 60, Every: 10 * time.Second},
		All: limit.Rate{Burst: 300, Every: time.Second}, Most: 20_000}
}

// resultRates bound how often an agent is heard: two results and a few repetitions for each of its commands.
func resultRates() limit.Rates {
	return limit.Rates{Pair: limit.Rate{Burst: 30, Every: time.Second}, Host: limit.Rate{Burst: 30, Every: time.Second}, Most: 20_000}
}
