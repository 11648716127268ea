package dashboards

// Notes that descriptions share.
const (
	cutNote  = " Spans that start in the time range, an hour at most each: a range that begins and ends on the hour is exact, another is off by an hour a site at most. A site with several agents counts each of them; a report takes the best informed."
	citeNote = " For a figure to cite, use a report."
)

// fleetDashboard is what the NOC looks at: which sites are in trouble, where, since when.
func fleetDashboard() Dashboard {
	now := object{"unit": "short", "noValue": "0", "decimals": 0}
	count := func(title, description, colour string, code int) Panel {
		p := stat(title, description, Detail, judged(now, steps(colour)), Query{Ref: "A", Text: sitesInState(code)})
		p.Options = with(p.Options, object{"colorMode": "background"})
		return p
	}
	unknown := stat("Not known", "Chosen sites of which the collector has told nothing for eleven minutes, because it, its broker or InfluxDB does not work. They count as neither up nor down.",
		Detail, judged(with(now, object{"noValue": "all"}), steps("green", 1, "orange")), Query{Ref: "A", Text: `SELECT ` + chosen + ` - count("code") AS "sites" FROM (` + statesNow + `)`})

	where := Panel{Type: "geomap", Title: "Where", Description: "Sites whose place is in the sites file, coloured by the state that the board shows. The outlines are a file of Grafana's own, so that the map needs no internet.",
		Source: Detail, W: 12, H: 14,
		Queries: []Query{{Ref: "A", Text: statesNow, Table: true},
			{Ref: "B", Text: aboutSites("name", "Name", "district", "District", "operator", "Operator", "latitude", "latitude", "longitude", "longitude"), Table: true}},
		Transformations: []any{joined(), arrange("site", "Name", "code", "District", "Operator")},
		Options: object{
			"view":     object{"id": "fit", "allLayers": false, "layer": "sites", "lat": 0, "lon": 0, "zoom": 6, "padding": 10, "maxZoom": 11},
			"controls": object{"mouseWheelZoom": true, "showZoom": true, "showAttribution": true, "showScale": true, "showMeasure": false, "showDebug": false},
			"tooltip":  object{"mode": "details"},
			"basemap": object{"type": "geojson", "name": "outlines", "config": object{"src": "public/maps/countries.geojson", "rules": []any{},
				"style": object{"color": object{"fixed": "text"}, "opacity": 0.08, "lineWidth": 1, "rotation": object{"fixed": 0, "max": 360, "min": -360, "mode": "mod"}}}},
			"layers": []any{object{"type": "markers", "name": "sites", "tooltip": true, "opacity": 1,
				"location": object{"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
				"config": object{"showLegend": true, "style": object{"color": object{"field": "code", "fixed": "gray"}, "opacity": 0.9,
					"size": object{"fixed": 6, "min": 2, "max": 15}, "symbol": object{"mode": "fixed", "fixed": "img/icons/marker/circle.svg"}}}}},
		},
		Defaults:  object{"unit": "string", "noValue": "not known", "thresholds": steps("text")},
		Overrides: []any{override("site", object{"displayName": "Site", "links": siteLinks()}), override("code", object{"displayName": "State", "mappings": stateCodes(), "color": object{"mode": "thresholds"}})},
	}
	timeline := Panel{Type: "state-timeline", Title: "State of each site", Description: "As the board showed it at the time. Where nothing is drawn the collector has told nothing: not known. What agents told afterwards is in the ledger, below and on the site's dashboard. The first 200 of the chosen sites; choose a district to see others.",
		Source: Detail, W: 12, H: 14, Interval: "5m",
		Queries:  []Query{{Ref: "A", Text: `SELECT last("code") FROM "state" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval), "site" fill(null) SLIMIT 200`, Alias: "$tag_site"}},
		Options:  object{"alignValue": "left", "mergeValues": true, "rowHeight": 0.9, "showValue": "never", "perPage": 30, "legend": legend, "tooltip": object{"mode": "single", "sort": "none"}},
		Defaults: object{"unit": "string", "noValue": "not known", "mappings": stateCodes(), "color": object{"mode": "thresholds"}, "thresholds": steps("text"), "custom": object{"fillOpacity": 80, "lineWidth": 0}},
	}
	sites := table("Sites", "What the board shows of each site now, the worst first, and what the sites file says of it. A click on a site leads to its page.", Detail, object{"unit": "string", "noValue": "–"},
		Query{Ref: "A", Text: `SELECT last("code") AS "State", "cause" AS "Cause", "since_ms" AS "For" FROM "state" WHERE ` + ofSites + ` AND time > now() - 11m GROUP BY "site"`},
		Query{Ref: "B", Text: aboutSites("name", "Name", "district", "District", "operator", "Operator", "technology", "Technology")})
	sites.Transformations = []any{joined(), arrange("site", "Name", "State", "Cause", "For", "District", "Operator", "Technology")}
	sites.Options = with(sites.Options, object{"sortBy": []any{object{"displayName": "State", "desc": false}}})
	sites.Overrides = []any{override("site", object{"displayName": "Site", "links": siteLinks()}), override("For", object{"unit": "ms", "decimals": 0}),
		override("State", object{"mappings": stateCodes(), "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured})}

	figuresOf := table("Figures of each site", "Availability, also without power cuts, and what was observed, of each site."+cutNote+" Below 90 % observed the figure is not to be cited."+citeNote, Ledger,
		with(percent(2, "nothing observed"), object{"custom": object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true, "inspect": false}}),
		Query{Ref: "A", Text: figures(ofSites, `"site"`, availability, "Availability", withoutPower, "Without power cuts", completeness("1"), "Observed", `sum("seen") - sum("up") - sum("power")`, "Down", `sum("power")`, "Power cuts")},
		Query{Ref: "B", Text: aboutSites("name", "Name", "district", "District", "operator", "Operator")})
	figuresOf.Transformations = []any{joined(), arrange("site", "Name", "Availability", "Without power cuts", "Observed", "Down", "Power cuts", "District", "Operator")}
	figuresOf.Options = with(figuresOf.Options, object{"sortBy": []any{object{"displayName": "Availability", "desc": false}}})
	figuresOf.Overrides = []any{override("site", object{"displayName": "Site", "links": siteLinks(), "unit": "string"}),
		override("Availability", object{"thresholds": availabilitySteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}),
		override("Without power cuts", object{"thresholds": availabilitySteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}),
		override("Observed", object{"thresholds": completeSteps, "color": object{"mode": "thresholds"}, "custom.cellOptions": coloured}),
		override("Down", object{"unit": "ms", "decimals": 1}), override("Power cuts", object{"unit": "ms", "decimals": 1})}

	quantiles := func(field string) Query {
		return Query{Ref: "A", Text: `SELECT percentile("v", 50) AS "half of the sites below", percentile("v", 95) AS "95 of 100 sites below" FROM (SELECT ` + field + ` AS "v" FROM "link" WHERE ` + ofSites +
			` AND "target" =~ /^(internet|collector)$/ AND ` + inRange + ` GROUP BY time($__interval), "site") WHERE ` + inRange + ` GROUP BY time($__interval) fill(null)`, Alias: "$col"}
	}
	return Dashboard{UID: "nabz-fleet", Title: "nabz: fleet", From: "now-24h", To: "now", Refresh: "1m", TimeZone: "browser",
		Description: "All sites: which are in trouble now, where, and what the last hours were like. nabz's own board has the same states, live.",
		Variables:   []Variable{chooseDistrict(), chooseOperator(), chooseSite(true), scope(), countSites()},
		Panels: place([]Panel{
			count("Up", "Chosen sites that are up now, as the board shows them.", "green", 5),
			count("Degraded", "Chosen sites that are up, with much loss or long round trips.", "yellow", 3),
			count("Down", "Chosen sites whose agents say that the link is down: gateway, backhaul or names.", "red", 0),
			count("Off", "Chosen sites whose agent has been switched off, or had no power.", "purple", 2),
			count("Unreachable", "Chosen sites that the collector has lost, and nobody can say yet why. Neither up nor down.", "orange", 1),
			unknown,
			where, timeline, sites, figuresOf,
			stacked(series("Time without service by cause", "Down time and power cuts of the chosen sites, added up."+cutNote, Ledger, unit("ms", "none"),
				Query{Ref: "A", Text: `SELECT sum("ms") FROM "span" WHERE ` + ofSites + ` AND (` + isDown + ` OR ` + isPower + `) AND ` + inSpans + ` GROUP BY time($__interval), "cause" fill(none)`, Alias: "$tag_cause"})).every("1h"),
			series("Sites heard", "How many of the chosen sites stored a batch. A step down at once is a cut that many share, or the NOC's own fault.", Detail, with(unit("short", "none"), object{"decimals": 0, "min": 0}),
				Query{Ref: "A", Text: `SELECT count("n") AS "sites" FROM (SELECT count("seq") AS "n" FROM "batch" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval), "site" fill(none)) WHERE ` + inRange + ` GROUP BY time($__interval) fill(0)`, Alias: "$col"}).every("20m"),
			limited(series("Round trip over the sites", "Mean round trip of each site to the internet and to the collector: the middle site, and the one that 95 of 100 are better than.", Detail, unit("ms", "not asked"), quantiles(`mean("rtt_avg_ms")`)).every("15m"), 400),
			limited(series("Loss over the sites", "Share of probes without an answer of each site: the middle site, and the one that 95 of 100 are better than.", Detail, with(percent(1, "not asked"), object{"min": 0}), quantiles(`100 * sum("lost") / sum("sent")`)).every("15m"), 20),
			series("Traffic of all chosen sites", "Through the interfaces of the agents' machines, mean over each interval.", Detail, unit("bps", "none"),
				Query{Ref: "A", Text: `SELECT 8000 * sum("rx_bytes") / $__interval_ms AS "received", 8000 * sum("tx_bytes") / $__interval_ms AS "sent" FROM "traffic" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval) fill(null)`, Alias: "$col"}).every("15m"),
			series("Waiting in spools", "What the agents hold that InfluxDB does not have yet: all together, and the largest of one.", Detail, with(unit("bytes", "nothing told"), object{"min": 0}),
				Query{Ref: "A", Text: `SELECT sum("b") AS "together", max("b") AS "largest" FROM (SELECT last("spool_bytes") AS "b" FROM "batch" WHERE ` + ofSites + ` AND ` + inRange + ` GROUP BY time($__interval), "site", "agent" fill(none)) WHERE ` + inRange + ` GROUP BY time($__interval) fill(null)`, Alias: "$col"}).every("15m"),
			events(ofSites),
		})}
}

// every sets the least interval of a panel.
func (p Panel) every(interval string) Panel {
	p.Interval = interval
	return p
}

// events is what agents said that a person may want to know.
func events(who string) Panel {
	p := table("Events", "What agents told of themselves: boots, clock steps, spools that ran over, changed configuration. The newest hundred.", Ledger, object{"unit": "string", "noValue": "none"},
		Query{Ref: "A", Text: `SELECT "site", "agent", "kind", "detail" FROM "event" WHERE ` + who + ` AND ` + inRange + ` ORDER BY time DESC LIMIT 100`})
	p.Overrides = []any{override("site", object{"links": siteLinks()})}
	return p
}
