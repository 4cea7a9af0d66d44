package definition

// later lists what the contract announces and this release refuses, with what
// works instead. Supporting a feature begins with deleting its row; the
// reference and the JSON Schema read this table too.
var later = map[string]string{
	"format: csv":         "write format: json; `watershed send` turns a CSV file into JSON events",
	"format: tsv":         "write format: json; `watershed send` turns a TSV file into JSON events",
	"fields":              "remove it; format: json names its fields itself",
	"type bool":           "use int for 0 and 1, or string for a text",
	"type date":           "use timestamp, or string for YYYY-MM-DD",
	"type float":          "use decimal(p,s)",
	"lookups":             "remove it; carry the attribute in the event and make it a column",
	"where":               "remove it; `drop` in clean leaves rows out of every view",
	"keep":                "remove it; the view's grain is kept for all time",
	"every: 1w":           "write every: 1d",
	"every: 1mo":          "write every: 1d",
	"count(column)":       "write count, which counts rows",
	"distinct(column)":    "make the column a dimension in `by` and count the groups",
	"quantiles(column,e)": "use min, max and avg",
}
