package dashboards

// collectorDashboard is how the collectors fare, from the lines that they write of themselves each minute.
func collectorDashboard() Dashboard {
	const who = `"collector" =~ /^$collector$/ AND ` + inRange
	each := func(title, description string, defaults object, alias string, columns string) Panel {
		p := series(title, description, Detail, defaults, Query{Ref: "A", Text: `SELECT ` + columns + ` FROM "collector" WHERE ` + who + ` GROUP BY time($__interval), "collector", "role" fill(null)`, Alias: alias})
		p.Interval = "1m"
		return p
	}
	count := with(unit("short", "none"), object{"decimals": 0, "min": 0})
	now := func(title, description string, defaults object, ask string) Panel {
		return stat(title, description, Detail, defaults, Query{Ref: "A", Text: ask})
	}
	fresh := `"collector" =~ /^$collector$/ AND time > now() - 3m`
	last := table("Collectors", "The last line of each. One that has written nothing for three minutes is not running, or cannot reach InfluxDB.", Detail, count,
		Query{Ref: "A", Text: `SELECT last("lines") AS "Lines", "messages" AS "Messages", "connections" AS "Agents connected", "refused" AS "Refused", "dead_letters" AS "Dead letters", "queue_messages" AS "Waiting", "influx_fault" AS "InfluxDB at fault", "rss_bytes" AS "Memory", "cpu_pct" AS "Processor" FROM "collector" WHERE "collector" =~ /^$collector$/ AND time > now() - 1d GROUP BY "collector", "role"`})
	last.H, last.Transformations = 6, []any{object{"id": "organize", "options": object{"excludeByName": object{}, "indexByName": object{"collector": 0, "role": 1, "Time": 2}, "renameByName": object{"Time": "Last line"}}}}
	last.Overrides = []any{override("collector", object{"displayName": "Collector", "unit": "string"}), override("role", object{"displayName": "Role", "unit": "string"}),
		override("Last line", object{"unit": "dateTimeFromNow"}), override("Memory", object{"unit": "bytes", "decimals": 1}), override("Processor", object{"unit": "percent", "decimals": 1}),
		override("InfluxDB at fault", object{"mappings": []any{object{"type": "value", "options": object{"0": value("no", "green", 0), "1": value("yes", "red", 1)}}}, "custom.cellOptions": coloured})}
	return Dashboard{UID: "nabz-collector", Title: "nabz: collector health", From: "now-6h", To: "now", Refresh: "1m", TimeZone: "browser",
		Description: "The NOC's own machinery: what the collectors take in and store, what they refuse, how InfluxDB answers, and what they need of their machines.",
		Variables:   []Variable{{Name: "collector", Label: "Collector", Kind: "query", Source: Detail, Multi: true, All: true, AllValue: ".*", Query: `SHOW TAG VALUES FROM "collector" WITH KEY = "collector"`}},
		Panels: place([]Panel{
			now("Collectors that run", "How many wrote a line of themselves in the last three minutes.", judged(with(count, object{"noValue": "0"}), steps("red", 1, "green")), `SELECT count("l") AS "collectors" FROM (SELECT last("ms") AS "l" FROM "collector" WHERE `+fresh+` GROUP BY "collector", "role")`),
			now("Agents connected now", "To the embedded brokers, now. With an external broker the collector does not know.", judged(with(count, object{"noValue": "not told"}), steps("text")), `SELECT sum("c") AS "agents" FROM (SELECT last("connections") AS "c" FROM "collector" WHERE `+fresh+` GROUP BY "collector", "role")`),
			now("Lines stored a minute", "That InfluxDB has taken, mean of the last three minutes.", judged(with(count, object{"noValue": "0"}), steps("text")), `SELECT 60000 * sum("lines") / sum("ms") AS "lines" FROM "collector" WHERE `+fresh),
			now("Refused", "Messages and lines that can never be stored, in the time range.", judged(with(count, object{"noValue": "0"}), steps("green", 1, "orange")), `SELECT sum("refused") AS "refused" FROM "collector" WHERE `+who),
			now("Dead letters", "Written in the time range; nabz-collector dead-letters list shows them.", judged(with(count, object{"noValue": "0"}), steps("green", 1, "orange")), `SELECT sum("dead_letters") AS "letters" FROM "collector" WHERE `+who),
			now("Minutes without InfluxDB", "Lines of the time range whose collector could not use InfluxDB just then. They were written when it was back; three hours of them are kept.", judged(with(count, object{"noValue": "0"}), steps("green", 1, "red")), `SELECT sum("influx_fault") AS "minutes" FROM "collector" WHERE `+who),
			last,
			each("Lines and messages a minute", "Lines that InfluxDB has taken, and messages that came in on data topics.", count, "$tag_collector $col", `60000 * sum("lines") / sum("ms") AS "lines", 60000 * sum("messages") / sum("ms") AS "messages"`),
			each("Bytes received", "Of those messages, as they were sent: packed.", unit("Bps", "none"), "$tag_collector", `1000 * sum("message_bytes") / sum("ms")`),
			each("Not stored", "Messages and lines refused for ever, messages dropped and batches not acknowledged, which agents send again.", count, "$tag_collector $col", `sum("refused") AS "refused", sum("dropped") AS "dropped", sum("unstored") AS "not acknowledged", sum("dead_letters") AS "dead letters"`),
			each("Agents connected", "To the embedded broker; and sign-ins that it refused.", count, "$tag_collector $col", `max("connections") AS "connected", sum("signins_refused") AS "refused"`),
			limited(each("InfluxDB's time for a write", "Mean over all writes of both tiers.", with(unit("ms", "no write"), object{"min": 0}), "$tag_collector", `sum("write_ms") / sum("writes")`), 1000),
			each("Writes by how long they took", "Share of the writes within 10 ms, 100 ms and a second.", with(percent(1, "no write"), object{"min": 0}), "$tag_collector $col", `100 * sum("write_le_10") / sum("writes") AS "within 10 ms", 100 * sum("write_le_100") / sum("writes") AS "within 100 ms", 100 * sum("write_le_1000") / sum("writes") AS "within 1 s"`),
			each("Writes that failed", "By InfluxDB's fault, its refusal, or for want of rights.", count, "$tag_collector", `sum("write_faults")`),
			each("Waiting in the queue", "Messages taken in that no worker has begun yet: the most of each interval.", count, "$tag_collector", `max("queue_messages")`),
			each("Memory", "Resident memory of the process, and what of it is the heap.", with(unit("bytes", "not told"), object{"min": 0}), "$tag_collector $col", `max("rss_bytes") AS "resident", max("heap_bytes") AS "heap"`),
			each("Processor", "Of one core.", with(unit("percent", "not told"), object{"min": 0, "decimals": 1}), "$tag_collector", `mean("cpu_pct")`),
			each("Goroutines", "Strands of work under way. A line that only rises is a fault worth telling.", count, "$tag_collector", `max("goroutines")`),
			each("Faults", "1 while the collector cannot use InfluxDB, or its external broker.", with(count, object{"max": 1}), "$tag_collector $col", `max("influx_fault") AS "InfluxDB", max("mqtt_fault") AS "broker"`),
		})}
}
