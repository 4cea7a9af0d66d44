package expr

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
)

func TestEquals(t *testing.T) {
	t.Parallel()
	text, whole := column.Type{Kind: column.String}, column.Type{Kind: column.Int}
	for condition, c := range map[string]struct {
		of   column.Type
		want []column.Value
	}{
		`id == 'a'`:                {text, []column.Value{{Str: "a"}}},
		`'it\'s' == id`:            {text, []column.Value{{Str: "it's"}}},
		`id in ["a", "b"]`:         {text, []column.Value{{Str: "a"}, {Str: "b"}}},
		`id == -7`:                 {whole, []column.Value{{Int: -7}}},
		`id in [1]`:                {whole, []column.Value{{Int: 1}}},
		`id == true`:               {column.Type{Kind: column.Bool}, []column.Value{{Int: 1}}},
		`id != 'a'`:                {text, nil},
		`id == 'a' || id == 'b'`:   {text, nil},
		`lower(id) == 'a'`:         {text, nil},
		`id == lower('A')`:         {text, nil},
		`'a' == 'a'`:               {text, nil},
		`id == id`:                 {text, nil},
		`id in []`:                 {text, nil},
		`id`:                       {text, nil},
		`other == 'a'`:             {text, nil},
		`id == 'a`:                 {text, nil},
		`id == 1`:                  {text, nil},
		`id == 1 ? true : false`:   {whole, nil},
		`!(id == 1)`:               {whole, nil},
		`id in [1, 2, size('ab')]`: {whole, nil},
	} {
		got, err := Equals(condition, "id", c.of)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s names %v, %v; want %v", condition, got, err, c.want)
		}
		var told *Error
		if err != nil && (!errors.As(err, &told) || strings.TrimSpace(told.Remedy) == "" && told.Message == "") {
			t.Errorf("%s: the error %v does not say what to do", condition, err)
		}
	}
}
