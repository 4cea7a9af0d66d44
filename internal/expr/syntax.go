package expr

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"
)

// Bounds on an expression's text, far above what a person writes.
const (
	maxCodePoints = 10_000
	maxDepth      = 200
)

// parse reads an expression's text. Macros are off: the language has none.
func parse(text string) (*ast.AST, common.Source, *Error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, &Error{Message: "the expression is empty", Remedy: "write a condition or a value, for instance price > 0"}
	}
	if !utf8.ValidString(text) {
		return nil, nil, &Error{Message: "the expression is not valid UTF-8", Remedy: "save the file as UTF-8"}
	}
	if n := utf8.RuneCountInString(text); n > maxCodePoints {
		return nil, nil, &Error{Offset: maxCodePoints, Message: fmt.Sprintf("the expression has %d characters; %d are allowed", n, maxCodePoints),
			Remedy: "split it over several set steps"}
	}
	p, err := parser.NewParser(parser.MaxRecursionDepth(maxDepth), parser.ExpressionSizeCodePointLimit(maxCodePoints))
	if err != nil {
		return nil, nil, &Error{Message: err.Error()}
	}
	source := common.NewTextSource(text)
	tree, errs := p.Parse(source)
	if found := errs.GetErrors(); len(found) > 0 {
		return nil, nil, syntaxError([]rune(text), source, found)
	}
	if ast.ExceedsDepth(tree, maxDepth) {
		return nil, nil, tooDeep()
	}
	return tree, source, nil
}

func tooDeep() *Error {
	return &Error{Message: fmt.Sprintf("the expression is nested more than about %d deep, or chains as many operators", maxDepth),
		Remedy: "split it over several set steps, or use in for a list of values"}
}

// syntaxError says in plain words what the parser's first complaint means.
func syntaxError(text []rune, source common.Source, found []*common.Error) *Error {
	for _, e := range found {
		if strings.Contains(e.Message, "recursion") || strings.Contains(e.Message, "node count") {
			return tooDeep()
		}
	}
	offset, message := len(text)+1, ""
	for _, e := range found {
		if at, ok := source.LocationOffset(e.Location); ok && int(at) < offset {
			offset, message = int(at), e.Message
		}
	}
	if message == "" {
		offset, message = 0, found[0].Message
	}
	if _, word, ok := strings.Cut(message, "reserved identifier: "); ok {
		return &Error{Offset: offset, Message: word + " is a reserved word", Remedy: "a column of that name needs another one here: name it differently and give the event's field in from"}
	}
	if strings.Contains(message, "int literal") {
		return &Error{Offset: offset, Message: "the number does not fit an int of 64 bits", Remedy: `write a smaller number, or decimal("...") for up to 18 digits`}
	}
	rest := strings.TrimSpace(string(text[min(offset, len(text)):]))
	if rest == "" {
		return &Error{Offset: min(offset, len(text)), Message: "the expression ends too early", Remedy: "complete it, and close what is open: ( [ ' \""}
	}
	if offset > 0 && text[offset-1] == '<' && rest[0] == '>' {
		return &Error{Offset: offset - 1, Message: "unexpected <>", Remedy: "write != for not equal"}
	}
	return unexpected(offset, rest)
}

// misspelt are what people write from habit, and the language's own word.
var misspelt = []struct {
	begins *regexp.Regexp
	remedy string
}{
	{regexp.MustCompile(`^=`), "write == to compare"},
	{regexp.MustCompile(`^~`), "write matches(s, '...') for a pattern"},
	{regexp.MustCompile(`(?i)^and\b|^&`), "write && for and"},
	{regexp.MustCompile(`(?i)^or\b|^\|`), "write || for or"},
	{regexp.MustCompile(`(?i)^not\b`), "write ! for not, for instance !(x in ['a'])"},
	{regexp.MustCompile(`(?i)^is\b`), "an expression over a null is null: write coalesce(x, value) for a value in its place"},
	{regexp.MustCompile(`(?i)^(like|ilike)\b`), "write contains(s, part), startsWith(s, prefix) or matches(s, '...')"},
	{regexp.MustCompile(`(?i)^between\b`), "write x >= a && x <= b"},
	{regexp.MustCompile(`(?i)^(when|then|case|end)\b`), "write condition ? value : other"},
	{regexp.MustCompile(`^['"]`), "close the text with the quote it began with; a quote inside it is written \\' or \\\""},
}

var firstToken = regexp.MustCompile(`^(\w+|.)`)

func unexpected(offset int, rest string) *Error {
	e := &Error{Offset: offset, Message: fmt.Sprintf("unexpected %s", firstToken.FindString(rest)),
		Remedy: "check the operators and parentheses before it; texts stand in quotes"}
	for _, m := range misspelt {
		if m.begins.MatchString(rest) {
			e.Remedy = m.remedy
			break
		}
	}
	return e
}
