package dashboards

// siteDashboard is one site, with all that its agents tell.
func siteDashboard() Dashboard {
	bins := ` AND ` + inRange + ` GROUP BY time($__interval)`
	lines := func(title, description string, source Source, defaults object, ask string, alias string) Panel {
		p := series(title, description, source, defaults, Query{Ref: "A", Text: ask, Alias: alias})
		p.W, p.H = 12, 7
		return p
	}
	figure := func(title, description string, defaults object, ask string) Panel {
		return stat(title, description, Ledger, defaults, Query{Ref: "A", Text: ask})
	}
	state := stat("State", "As nabz's board shows it now. Nothing for eleven minutes: not known.", Detail,
		object{"unit": "string", "noValue": "not known", "mappings": stateCodes(), "thresholds": steps("text"), "color": object{"mode": "thresholds"}, "links": siteLink()},
		Query{Ref: "A", Text: statesNow})
	state.Options = with(state.Options, object{"colorMode": "background"})
	about := table("About the site", "What the sites file says. A click leads to the site's page on nabz's board.", Detail, object{"unit": "string", "noValue": "–"},
		Query{Ref: "A", Text: aboutSites("name", "Name", "district", "District", "operator", "Operator", "technology", "Technology", "population", "Population", "target_down_bps", "Target down", "target_up_bps", "Target up", "service_hours", "Service hours", "time_zone", "Time zone")})
	about.H, about.Transformations = 4, []any{arrange("site", "Name", "District", "Operator", "Technology", "Population", "Target down", "Target up", "Service hours", "Time zone")}
	about.Options = with(about.Options, object{"enablePagination": false})
	about.Overrides = []any{override("site", object{"displayName": "Site", "links": siteLinks()}), override("Population", object{"unit": "short"}), override("Target down", object{"unit": "bps"}), override("Target up", object{"unit": "bps"})}

	board := Panel{Type: "state-timeline", Title: "State as the board showed it, and as each agent told it", Description: "First what the board showed at the time, then the open state in each agent's batches. Nothing drawn: not known. Stripes: the agent reports more rarely than the time of one stripe; look at a longer range.",
		Source: Detail, W: 24, H: 6, Interval: "1m",
		Queries: []Query{{Ref: "A", Text: `SELECT last("state") FROM "state" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time(5m) fill(null)`, Alias: "board"},
			{Ref: "B", Text: `SELECT last("open_state") FROM "batch" WHERE ` + ofAgents + bins + `, "agent" fill(null)`, Alias: "$tag_agent"}},
		Options:   object{"alignValue": "left", "mergeValues": true, "rowHeight": 0.8, "showValue": "auto", "legend": legend, "tooltip": object{"mode": "single", "sort": "none"}},
		Defaults:  object{"unit": "string", "noValue": "not known", "mappings": stateWords(), "color": object{"mode": "thresholds"}, "thresholds": steps("text"), "custom": object{"fillOpacity": 80, "lineWidth": 0}},
		Overrides: []any{}}
	hours := stacked(lines("Time in each state, from the ledger", "What the agents' ledgers say of each hour. What is missing to a full bar is unknown: neither up nor down. Late data fill it in.", Ledger, unit("ms", "nothing told"),
		`SELECT sum("ms") FROM "span" WHERE `+ofAgents+` AND time < ${__to}ms`+bins+`, "state", "cause" fill(none)`, "$tag_state $tag_cause")).every("1h")
	hours.W = 24
	outages := table("Time down or off", "What the ledger says, the newest first. An outage that goes on over a full hour (UTC) is cut there, and stands here in as many rows.", Ledger, object{"unit": "string", "noValue": "none"},
		Query{Ref: "A", Text: `SELECT "agent", "state", "cause", "ms" AS "length", "err_ms" AS "uncertainty" FROM "span" WHERE ` + ofAgents + ` AND "state" =~ /^(down|off)$/ AND ` + inRange + ` ORDER BY time DESC LIMIT 500`})
	outages.W, outages.Overrides = 12, []any{override("length", object{"unit": "ms"}), override("uncertainty", object{"unit": "ms"}), override("state", object{"mappings": stateWords(), "custom.cellOptions": coloured})}
	happened := events(ofAgents)
	happened.W = 12
	batches := table("Last batches", "The newest fifty: what the agent said of itself when it sealed them.", Detail, object{"unit": "string", "noValue": "–"},
		Query{Ref: "A", Text: `SELECT "agent", "seq", "boot", "open_state" AS "state", "open_cause" AS "cause", "spool_bytes" AS "waits", "clock", "wire_bytes" AS "on the wire" FROM "batch" WHERE ` + ofAgents + ` AND ` + inRange + ` ORDER BY time DESC LIMIT 50`})
	batches.Overrides = []any{override("waits", object{"unit": "bytes"}), override("on the wire", object{"unit": "bytes"}), override("seq", object{"unit": "none"}), override("state", object{"mappings": stateWords(), "custom.cellOptions": coloured})}

	ms, pct := unit("ms", "not asked"), with(percent(1, "not asked"), object{"min": 0})
	return Dashboard{UID: "nabz-site", Title: "nabz: site", From: "now-24h", To: "now", Refresh: "1m", TimeZone: "browser",
		Description: "One site: its state, what its agents measured, and what its ledger says.",
		Variables: []Variable{chooseDistrict(), chooseOperator(), chooseSite(false), scope(),
			{Name: "agent", Label: "Agent", Kind: "query", Source: Detail, Multi: true, All: true, AllValue: ".*", Query: `SHOW TAG VALUES FROM "batch" WITH KEY = "agent" WHERE "site" =~ /^$site$/`}},
		Panels: place([]Panel{
			state,
			figure("Availability", "Up and degraded time as a share of observed time (up, degraded, down, power cuts)."+cutNote+citeNote, judged(percent(2, "nothing observed"), availabilitySteps), figures(ofAgents, "", availability, "availability")),
			figure("Without power cuts", "The same, power cuts left out, so that they are not blamed on the operator."+cutNote+citeNote, judged(percent(2, "nothing observed"), availabilitySteps), figures(ofAgents, "", withoutPower, "availability")),
			figure("Observed", "Completeness: the share of the time in service that was observed. Below 90 % a figure is not to be cited."+cutNote, judged(percent(1, "nothing observed"), completeSteps), figures(ofAgents, "", completeness("1"), "observed")),
			figure("Down and without power", "Down time and power cuts, added up."+cutNote, judged(unit("ms", "none"), steps("text")), figures(ofAgents, "", `sum("seen") - sum("up")`, "time")),
			stat("Bytes on the wire", "What the agents say that they had on the wire towards the collector, both ways, in the time range.", Detail, judged(unit("bytes", "nothing told"), steps("text")),
				Query{Ref: "A", Text: `SELECT sum("wire") AS "wire" FROM (SELECT non_negative_difference("wire_bytes") AS "wire" FROM "batch" WHERE ` + ofAgents + ` AND ` + inRange + ` GROUP BY "agent")`}),
			about, board, hours,
			limited(lines("Round trip", "Least, mean and greatest round trip to each target; collector is the way of the data themselves.", Detail, ms, `SELECT min("rtt_min_ms") AS "least", mean("rtt_avg_ms") AS "mean", max("rtt_max_ms") AS "greatest" FROM "link" WHERE `+ofAgents+bins+`, "target" fill(null)`, "$tag_target $col"), 400),
			limited(lines("Loss", "Share of probes without an answer, by target. A minute with more than 20 % to the internet is degraded.", Detail, pct, `SELECT 100 * sum("lost") / sum("sent") FROM "link" WHERE `+ofAgents+bins+`, "target" fill(null)`, "$tag_target"), 20),
			lines("Jitter", "Mean change from one round trip to the next, by target.", Detail, ms, `SELECT mean("jitter_ms") FROM "link" WHERE `+ofAgents+bins+`, "target" fill(null)`, "$tag_target"),
			lines("Round trips within a limit", "Share of the answers from the internet within 100, 300 and 600 ms, from the hours' histograms.", Ledger, pct,
				`SELECT 100 * sum("rtt_le_100") / sum("rtt_le_inf") AS "within 100 ms", 100 * sum("rtt_le_300") / sum("rtt_le_inf") AS "within 300 ms", 100 * sum("rtt_le_600") / sum("rtt_le_inf") AS "within 600 ms" FROM "hour" WHERE `+ofAgents+bins+` fill(null)`, "$col").every("1h"),
			lines("Traffic", "Through each interface, mean over each interval.", Detail, unit("bps", "none"), `SELECT 8000 * sum("rx_bytes") / $__interval_ms AS "received", 8000 * sum("tx_bytes") / $__interval_ms AS "sent" FROM "traffic" WHERE `+ofAgents+bins+`, "iface" fill(null)`, "$tag_iface $col"),
			lines("Traffic peaks", "The highest ten seconds of each interval, by interface.", Detail, unit("bps", "none"), `SELECT max("rx_peak_bps") AS "received", max("tx_peak_bps") AS "sent" FROM "traffic" WHERE `+ofAgents+bins+`, "iface" fill(null)`, "$tag_iface $col"),
			lines("Speed tests", "Throughput of each ndt7 test. The target stands above, in what the sites file says.", Ledger, unit("bps", "no test"), `SELECT "down_bps" AS "down", "up_bps" AS "up" FROM "speedtest" WHERE `+ofAgents+` AND `+inRange, "$col"),
			lines("Interface errors and drops", "Counts in each interval, by interface.", Detail, with(unit("short", "none"), object{"decimals": 0}), `SELECT sum("errs") AS "errors", sum("drops") AS "drops" FROM "traffic" WHERE `+ofAgents+bins+`, "iface" fill(null)`, "$tag_iface $col"),
			lines("Service readiness", "How long each service could have been used, as a share of its own opening hours.", Ledger, with(percent(1, "no service"), object{"min": 0}), `SELECT 100 * sum("ready_ms") / sum("window_ms") FROM "hour_service" WHERE `+ofAgents+bins+`, "service" fill(null)`, "$tag_service").every("1h"),
			lines("Users", "Stations of the wireless network and leases: counts, never who.", Detail, with(unit("short", "not told"), object{"decimals": 0, "min": 0}), `SELECT max("wifi_stations") AS "stations", max("dhcp_leases") AS "leases" FROM "clients" WHERE `+ofAgents+bins+` fill(null)`, "$col"),
			lines("Machine", "Processor, memory and disk of the agent's machine.", Detail, with(percent(0, "not told"), object{"min": 0}), `SELECT mean("cpu_pct") AS "processor", mean("mem_pct") AS "memory", mean("disk_pct") AS "disk" FROM "host" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent $col"),
			lines("Load", "Processes that want to run, mean over a minute.", Detail, unit("short", "not told"), `SELECT mean("load1") FROM "host" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent"),
			lines("Temperature", "The hottest sensor of the machine.", Detail, unit("celsius", "no sensor"), `SELECT max("temp_c") FROM "host" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent"),
			limited(lines("Battery", "Charge of the battery; below 20 % somebody should know.", Detail, with(percent(0, "no battery"), object{"min": 0}), `SELECT mean("battery_pct") FROM "power" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent"), 20),
			lines("Time since boot", "Falls to nothing when the machine boots.", Detail, unit("s", "not told"), `SELECT last("uptime_s") FROM "host" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent").every("10m"),
			lines("Waiting in the spool", "What the agent holds that InfluxDB does not have yet.", Detail, with(unit("bytes", "nothing told"), object{"min": 0}), `SELECT max("spool_bytes") FROM "batch" WHERE `+ofAgents+bins+`, "agent" fill(null)`, "$tag_agent"),
			outages, happened, batches,
		})}
}

// siteLink leads to the page of the chosen site on nabz's board.
func siteLink() []any {
	return []any{object{"title": "Site page of nabz", "url": "${board:raw}/sites/${site:raw}", "targetBlank": true}}
}
