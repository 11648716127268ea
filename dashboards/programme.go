package dashboards

// programmeDashboard is the programme's figures over a month, with what was observed beside each.
func programmeDashboard() Dashboard {
	const sites = chosen
	const many = " $count sites, as the sites file lists them now, are taken to have been there for the whole range. A site that has left the file still counts with its spans unless a district, an operator or sites are chosen."
	figure := func(title, description string, defaults object, ask string) Panel {
		return stat(title, description, Ledger, defaults, Query{Ref: "A", Text: ask})
	}
	pct := percent(2, "nothing observed")
	perSite := table("Each site", "The figures of each site, with completeness and bounds: if all that is unknown was down, and if it was up."+cutNote+citeNote, Ledger, pct,
		Query{Ref: "A", Text: figures(ofSites, `"site"`, availability, "Availability", withoutPower, "Without power cuts", completeness("1"), "Observed", lower("1"), "At least", upper("1"), "At most",
			`sum("seen") - sum("up") - sum("power")`, "Down", `sum("power")`, "Power cuts", `sum("off")`, "Switched off")},
		Query{Ref: "B", Text: aboutSites("name", "Name", "district", "District", "operator", "Operator", "technology", "Technology")})
	perSite.H, perSite.Transformations = 12, []any{joined(), arrange("site", "Name", "Availability", "Without power cuts", "Observed", "At least", "At most", "Down", "Power cuts", "Switched off", "District", "Operator", "Technology")}
	perSite.Options = with(perSite.Options, object{"sortBy": []any{object{"displayName": "Availability", "desc": false}}})
	perSite.Overrides = []any{override("site", object{"displayName": "Site", "links": siteLinks(), "unit": "string"})}
	for _, name := range []string{"Availability", "Without power cuts"} {
		perSite.Overrides = append(perSite.Overrides, override(name, object{"thresholds": availabilitySteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}))
	}
	perSite.Overrides = append(perSite.Overrides, override("Observed", object{"thresholds": completeSteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}))
	for _, name := range []string{"Down", "Power cuts", "Switched off"} {
		perSite.Overrides = append(perSite.Overrides, override(name, object{"unit": "ms", "decimals": 1, "noValue": "none"}))
	}

	causes := table("Time without service by cause", "Down time and power cuts by what the agents say. Pieces: an outage that goes on over a full hour (UTC) is cut there, so that there are more pieces than outages; a report counts outages, their lengths and the time to restore."+cutNote, Ledger,
		with(unit("ms", "none"), object{"decimals": 1}),
		Query{Ref: "A", Text: `SELECT sum("ms") AS "Length", count("ms") AS "Pieces", max("err_ms") AS "Largest uncertainty" FROM "span" WHERE ` + ofSites + ` AND (` + isDown + ` OR ` + isPower + `) AND ` + inSpans + ` GROUP BY "state", "cause"`})
	causes.W, causes.H, causes.Transformations = 12, 8, []any{arrange("state", "cause", "Length", "Pieces", "Largest uncertainty")}
	causes.Overrides = []any{override("Pieces", object{"unit": "short", "decimals": 0}), override("state", object{"unit": "string"}), override("cause", object{"unit": "string"})}

	days := stacked(series("Time in each state, day by day", "Of all chosen sites, from the ledger. What is missing to the days before is unknown. Days are those of UTC.", Ledger, unit("ms", "nothing told"),
		Query{Ref: "A", Text: `SELECT sum("ms") FROM "span" WHERE ` + ofSites + ` AND ` + inSpans + ` GROUP BY time($__interval), "state", "cause" fill(none)`, Alias: "$tag_state $tag_cause"})).every("1d")

	services := table("Services in their own hours", "How long each service could have been used, as a share of the hours in which it is open.", Ledger, percent(2, "no service"),
		Query{Ref: "A", Text: `SELECT 100 * sum("ready_ms") / sum("window_ms") AS "Ready", sum("window_ms") AS "Open hours watched" FROM "hour_service" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY "service"`})
	services.W, services.H, services.Transformations = 12, 8, []any{arrange("service", "Ready", "Open hours watched")}
	services.Overrides = []any{override("service", object{"displayName": "Service", "unit": "string"}), override("Ready", object{"thresholds": readySteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}),
		override("Open hours watched", object{"unit": "ms", "decimals": 0})}

	tests := table("Throughput of each site against its target", "Median, 5th and 95th percentile of the site's ndt7 tests, how many there were, and the median as a share of the target in the sites file. Of few tests a percentile says little.", Ledger, unit("bps", "–"),
		Query{Ref: "A", Text: `SELECT median("down_bps") AS "Median down", percentile("down_bps", 5) AS "5th down", percentile("down_bps", 95) AS "95th down", median("up_bps") AS "Median up", count("down_bps") AS "Tests" FROM "speedtest" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY "site"`},
		Query{Ref: "B", Text: aboutSites("name", "Name", "target_down_bps", "Target down", "target_up_bps", "Target up")})
	ratio := func(of, target, name string) object {
		return object{"id": "calculateField", "options": object{"mode": "binary", "alias": name, "binary": object{"left": of, "operator": "/", "right": target}, "replaceFields": false}}
	}
	tests.Transformations = []any{joined(), ratio("Median down", "Target down", "Down of target"), ratio("Median up", "Target up", "Up of target"),
		arrange("site", "Name", "Tests", "Median down", "Target down", "Down of target", "5th down", "95th down", "Median up", "Target up", "Up of target")}
	tests.Overrides = []any{override("site", object{"displayName": "Site", "links": siteLinks(), "unit": "string"}), override("Name", object{"unit": "string"}), override("Tests", object{"unit": "short", "decimals": 0, "noValue": "0"})}
	lacking := []any{ // Grafana reckons with nothing as with nought
		object{"type": "value", "options": object{"0": value("no test", "text", 0)}},
		object{"type": "range", "options": object{"from": 1e6, "to": nil, "result": value("no target", "text", 1)}},
	}
	for _, name := range []string{"Down of target", "Up of target"} {
		tests.Overrides = append(tests.Overrides, override(name, object{"unit": "percentunit", "decimals": 0, "noValue": "–", "mappings": lacking, "thresholds": steps("red", 1, "green"), "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}))
	}

	return Dashboard{UID: "nabz-programme", Title: "nabz: programme figures", From: "now-1M/M", To: "now-1M/M", Refresh: "", TimeZone: "utc",
		Description: "Availability, completeness, outages, services and throughput of the chosen sites over a period, last month at first. Days and hours are UTC. To look at; what is cited comes from a report, which states its definition and can be computed again.",
		Variables:   []Variable{chooseDistrict(), chooseOperator(), chooseSite(true), scope(), countSites()},
		Panels: place([]Panel{
			figure("Availability", "Up and degraded time as a share of observed time, all chosen sites together, weighted by their time."+cutNote+citeNote, judged(pct, availabilitySteps), figures(ofSites, "", availability, "availability")),
			figure("Without power cuts", "The same, power cuts left out of what was observed."+cutNote+citeNote, judged(pct, availabilitySteps), figures(ofSites, "", withoutPower, "availability")),
			figure("Observed", "Completeness: the share of the sites' time in service that was observed. Below 90 % the figures are not to be cited."+many+cutNote, judged(pct, completeSteps), figures(ofSites, "", completeness(sites), "observed")),
			figure("At least", "Availability if all that is unknown was down."+many+cutNote, judged(pct, steps("text")), figures(ofSites, "", lower(sites), "at least")),
			figure("At most", "Availability if all that is unknown was up."+many+cutNote, judged(pct, steps("text")), figures(ofSites, "", upper(sites), "at most")),
			stat("Sites", "How many sites of the sites file are chosen.", Detail, judged(object{"unit": "short", "decimals": 0, "noValue": "none"}, steps("text")), Query{Ref: "A", Text: `SELECT count("listed") AS "sites" FROM ` + sitesNow(ofSites) + ` WHERE "listed" = 1`}),
			days, causes, services,
			series("Availability, day by day", "Of all chosen sites together, with power cuts and without. Days are those of UTC; a day on which nothing was observed has no point."+cutNote, Ledger, with(percent(2, "nothing observed"), object{}),
				Query{Ref: "A", Text: figures(ofSites, `time($__interval) fill(none)`, availability, "availability", withoutPower, "without power cuts"), Alias: "$col"}).every("1d"),
			series("Round trips within a limit", "Share of the answers from the internet within 100, 300 and 600 ms, from the hours' histograms of all chosen sites; and the share lost.", Ledger, with(percent(1, "not asked"), object{"min": 0}),
				Query{Ref: "A", Text: `SELECT 100 * sum("rtt_le_100") / sum("rtt_le_inf") AS "within 100 ms", 100 * sum("rtt_le_300") / sum("rtt_le_inf") AS "within 300 ms", 100 * sum("rtt_le_600") / sum("rtt_le_inf") AS "within 600 ms", 100 * sum("lost") / sum("sent") AS "lost" FROM "hour" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval) fill(null)`, Alias: "$col"}).every("1d"),
			series("Throughput of all tests", "Median, 5th and 95th percentile of the day's ndt7 tests at all chosen sites.", Ledger, unit("bps", "no test"),
				Query{Ref: "A", Text: `SELECT percentile("down_bps", 5) AS "5th", median("down_bps") AS "median", percentile("down_bps", 95) AS "95th" FROM "speedtest" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval) fill(none)`, Alias: "$col"}).every("1d"),
			series("Data used", "What went through the sites' links, by the agents' hours.", Ledger, unit("bytes", "nothing told"),
				Query{Ref: "A", Text: `SELECT sum("rx_bytes") AS "received", sum("tx_bytes") AS "sent" FROM "hour" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval) fill(none)`, Alias: "$col"}).every("1d"),
			tests, perSite,
		})}
}
