-- {{.View}}: {{if .Timed}}the last day, its latest buckets first{{else}}its largest groups first{{end}}
SELECT *
FROM "{{.View}}"
{{- if .Timed}}
WHERE "time" >= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp(3)) - INTERVAL '1' DAY
{{- end}}
{{- if .Timed}}
ORDER BY "time" DESC{{if .Order}}, "{{.Order}}" DESC NULLS LAST{{end}}
{{- else if .Order}}
ORDER BY "{{.Order}}" DESC NULLS LAST
{{- end}}
LIMIT 1000
