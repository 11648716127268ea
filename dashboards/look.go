package dashboards

// How things look: the same state, the same unit, the same limit look the same on every dashboard.

// steps are thresholds: a colour, then at each value another.
func steps(base string, more ...any) object {
	list := []any{object{"color": base, "value": nil}}
	for i := 0; i+1 < len(more); i += 2 {
		list = append(list, object{"value": more[i], "color": more[i+1]})
	}
	return object{"mode": "absolute", "steps": list}
}

// unit is a field's unit and what is shown where there is nothing.
func unit(name, nothing string) object {
	return object{"unit": name, "noValue": nothing, "color": object{"mode": "palette-classic"}, "thresholds": steps("text")}
}

// judged is a field that its thresholds colour.
func judged(o object, thresholds object) object {
	return with(o, object{"thresholds": thresholds, "color": object{"mode": "thresholds"}})
}

// percent is a share of a hundred with so many decimals.
func percent(decimals int, nothing string) object {
	return with(unit("percent", nothing), object{"decimals": decimals, "max": 100})
}

var (
	availabilitySteps = steps("red", 95, "orange", 99, "green")
	completeSteps     = steps("orange", 90, "green") // below 90 % a figure is not to be cited
	readySteps        = steps("red", 90, "orange", 98, "green")
)

// value is one entry of a value mapping.
func value(text, colour string, index int) object {
	return object{"text": text, "color": colour, "index": index}
}

// stateCodes are the numbers of the measurement "state".
func stateCodes() []any {
	return []any{
		object{"type": "value", "options": object{"0": value("down", "red", 0), "1": value("unreachable", "orange", 1), "2": value("off", "purple", 2),
			"3": value("degraded", "yellow", 3), "4": value("never seen", "blue", 4), "5": value("up", "green", 5)}},
		object{"type": "special", "options": object{"match": "null", "result": value("not known", "text", 6)}},
	}
}

// stateWords are the states that agents tell.
func stateWords() []any {
	return []any{object{"type": "value", "options": object{"up": value("up", "green", 0), "degraded": value("degraded", "yellow", 1), "down": value("down", "red", 2), "off": value("off", "purple", 3)}}}
}

// override changes how the field of that name is shown.
func override(field string, properties object) object {
	list := []any{}
	for _, id := range []string{"displayName", "unit", "decimals", "noValue", "mappings", "thresholds", "color", "min", "max", "links", "custom.hidden", "custom.width", "custom.cellOptions", "custom.stacking", "custom.drawStyle", "custom.fillOpacity", "custom.lineWidth", "custom.axisPlacement"} {
		if v, ok := properties[id]; ok {
			list = append(list, object{"id": id, "value": v})
		}
	}
	return object{"matcher": object{"id": "byName", "options": field}, "properties": list}
}

// coloured shows a cell on its colour, with the text in it.
var coloured = object{"type": "color-text"}

// siteLinks lead from a site to nabz's own page and to the site's dashboard.
func siteLinks() []any {
	return []any{
		object{"title": "Site page of nabz", "url": "${board:raw}/sites/${__data.fields.site}", "targetBlank": true},
		object{"title": "Dashboard of this site", "url": "/d/nabz-site?var-site=${__data.fields.site}&${__url_time_range}", "targetBlank": false},
	}
}

var legend = object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []any{}}

// series draws lines.
func series(title, description string, source Source, defaults object, queries ...Query) Panel {
	return Panel{Type: "timeseries", Title: title, Description: description, Source: source, W: 12, H: 8, Queries: queries,
		Options:  object{"legend": legend, "tooltip": object{"mode": "multi", "sort": "desc"}},
		Defaults: with(object{"custom": object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "auto", "spanNulls": false}}, defaults)}
}

// limited draws a dashed line at a limit.
func limited(p Panel, at float64) Panel {
	custom, _ := p.Defaults["custom"].(object)
	p.Defaults = with(p.Defaults, object{"custom": with(custom, object{"thresholdsStyle": object{"mode": "dashed"}}), "thresholds": steps("transparent", at, "orange")})
	return p
}

// stacked turns lines into bars on each other.
func stacked(p Panel) Panel {
	p.Defaults = with(p.Defaults, object{"custom": object{"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "showPoints": "never", "spanNulls": false,
		"stacking": object{"mode": "normal", "group": "A"}}})
	return p
}

// stat is one number, or a few.
func stat(title, description string, source Source, defaults object, queries ...Query) Panel {
	return Panel{Type: "stat", Title: title, Description: description, Source: source, W: 4, H: 4, Queries: queries, Defaults: defaults,
		Options: object{"reduceOptions": object{"calcs": []any{"lastNotNull"}, "fields": "", "values": false}, "colorMode": "value", "graphMode": "none",
			"justifyMode": "auto", "textMode": "auto", "orientation": "auto", "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard"}}
}

// table is rows. The time column is hidden unless it is asked for.
func table(title, description string, source Source, defaults object, queries ...Query) Panel {
	for i := range queries {
		queries[i].Table = true
	}
	return Panel{Type: "table", Title: title, Description: description, Source: source, W: 24, H: 10, Queries: queries,
		Options:  object{"showHeader": true, "cellHeight": "sm", "frameIndex": 0, "enablePagination": true},
		Defaults: with(object{"custom": object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true, "inspect": false}, "thresholds": steps("text")}, defaults)}
}

// arrange puts the columns of a table in order; times and what only filters are hidden.
func arrange(order ...string) object {
	index := object{}
	for i, name := range order {
		index[name] = i
	}
	return object{"id": "organize", "options": object{"excludeByName": object{"Time": true, "Time 1": true, "Time 2": true, "listed": true}, "indexByName": index, "renameByName": object{}}}
}

// joined joins the tables of a panel's queries by site.
func joined() object {
	return object{"id": "joinByField", "options": object{"byField": "site", "mode": "outer"}}
}
