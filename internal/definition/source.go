package definition

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxSize is the size of the largest definition, in bytes.
const maxSize = 1 << 20

// source is a definition's text, and the place of everything in it.
type source struct {
	file     string
	lines    []string // without their ends
	problems Errors
}

// report adds a problem at a line and column.
func (s *source) report(line, col int, message, remedy string) {
	s.problems = append(s.problems, Problem{File: s.file, Line: line, Column: col, Message: message, Remedy: remedy})
}

// readYAML gives the root of the text's one YAML document, or nil after
// reporting why there is none.
func (s *source) readYAML(text []byte) *yaml.Node {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(text) > maxSize {
		s.report(1, 1, "the definition is larger than 1 MiB", "check that this is the right file")
		return nil
	}
	if !s.checkCharacters(text) {
		return nil
	}
	s.lines = splitLines(string(text))

	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		s.report(1, 1, "the definition is empty", "begin with `pipeline: NAME`")
		return nil
	case err != nil:
		s.reportSyntax(text, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		s.report(second.Line, second.Column, "a second YAML document begins here", "keep one definition per file and remove the `---`")
		return nil
	case !errors.Is(err, io.EOF):
		s.reportSyntax(text, err)
		return nil
	}
	root := document.Content[0]
	s.rejoin(root)
	s.refuseIndirection(root)
	return root
}

// checkCharacters reports the first byte that no YAML text may hold.
func (s *source) checkCharacters(text []byte) bool {
	line, col := 1, 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			s.report(line, col, "the text is not UTF-8", "save the file as UTF-8")
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			s.report(line, col, "a control character stands here", "remove it, or write it as an escape such as \"\\u0001\" in double quotes")
			return false
		}
		i += size
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
	}
	return true
}

// refuseIndirection reports anchors, aliases, merge keys and tags: a definition
// says everything where it stands. It never follows an alias, so that a small
// text cannot grow.
func (s *source) refuseIndirection(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		s.report(n.Line, n.Column, "YAML aliases are not allowed", "write the value out")
		return
	case n.Anchor != "":
		s.report(n.Line, n.Column, "YAML anchors are not allowed", "remove &"+n.Anchor+" and write the value out where it is used")
	case n.Style&yaml.TaggedStyle != 0:
		s.report(n.Line, n.Column, "YAML tags are not allowed", "remove "+n.Tag)
	}
	for _, child := range n.Content {
		s.refuseIndirection(child)
	}
}

// rejoin puts together what YAML takes apart: in {type: decimal(12,2)} the comma
// ends the value, and 2) is a key. A value in braces whose bracket is open goes
// on to the end of the bracket on its line, and the keys in between are none.
func (s *source) rejoin(n *yaml.Node) {
	for _, child := range n.Content {
		s.rejoin(child)
	}
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle == 0 {
		return
	}
	kept := n.Content[:0]
	var line, end int // the value that was joined last ends here
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Line == line && key.Column < end {
			continue
		}
		if text := s.wholeValue(value); text != "" {
			value.Value, value.Tag = text, "!!str"
			line, end = value.Line, value.Column+utf8.RuneCountInString(text)
		}
		kept = append(kept, key, value)
	}
	n.Content = kept
}

// wholeValue gives the text of a plain value in braces with an open bracket, up
// to the comma or brace that ends it; "" if there is nothing to join.
func (s *source) wholeValue(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || strings.Count(n.Value, "(") <= strings.Count(n.Value, ")") {
		return ""
	}
	line := s.line(n.Line)
	if n.Column > len(line) {
		return ""
	}
	depth, quote := 0, rune(0)
	for i, r := range line[n.Column-1:] {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0 && (r == ',' || r == '}'):
			return strings.TrimSpace(string(line[n.Column-1 : n.Column-1+i]))
		}
	}
	return ""
}

// splitLines cuts a text where YAML ends lines.
func splitLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	return strings.Split(text, "\n")
}

// line gives a line by its number from 1, as code points. Lines that no person
// wrote are not looked into: nil.
func (s *source) line(number int) []rune {
	const longest = 4096
	if number < 1 || number > len(s.lines) || len(s.lines[number-1]) > longest {
		return nil
	}
	return []rune(s.lines[number-1])
}

// locate gives the place of a scalar's code point. What it cannot follow (a
// folded text) has the place of the scalar.
func (s *source) locate(n *yaml.Node, offset int) (line, col int) {
	line, col = n.Line, n.Column
	text := s.line(line)
	if col < 1 || col > len(text) || offset < 0 {
		return line, col
	}
	from := text[col-1:]
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return line, col + widthQuoted(from, '\'', offset)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return line, col + widthQuoted(from, '"', offset)
	case n.Style&yaml.LiteralStyle != 0:
		return s.locateLiteral(n, offset)
	case n.Style&yaml.FoldedStyle == 0 && strings.HasPrefix(string(from), n.Value):
		return line, col + min(offset, utf8.RuneCountInString(n.Value))
	}
	return line, col
}

// widthQuoted counts the code points from a scalar's opening quote to its
// offset-th character; 0 if that is not on this line.
func widthQuoted(from []rune, quote rune, offset int) int {
	at := 1
	for ; offset > 0; offset-- {
		if at >= len(from) {
			return 0
		}
		switch {
		case from[at] == quote && quote == '\'' && at+1 < len(from) && from[at+1] == '\'':
			at += 2
		case from[at] == quote:
			return at // past the end: the closing quote
		case from[at] == '\\' && quote == '"':
			at += escapeWidth(from[at:])
		default:
			at++
		}
	}
	if at >= len(from) {
		return 0
	}
	return at
}

// escapeWidth counts the code points of an escape in double quotes.
func escapeWidth(from []rune) int {
	if len(from) > 1 {
		switch from[1] {
		case 'x':
			return 4
		case 'u':
			return 6
		case 'U':
			return 10
		}
	}
	return 2
}

// locateLiteral finds an offset in a `|` text, whose lines stand in the file as
// they are, indented.
func (s *source) locateLiteral(n *yaml.Node, offset int) (line, col int) {
	value := []rune(n.Value)
	before := string(value[:min(offset, len(value))])
	row := strings.Count(before, "\n")
	content := strings.Split(n.Value, "\n")[row]
	inRow := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	text := string(s.line(n.Line + 1 + row))
	if !strings.HasSuffix(text, content) {
		return n.Line, n.Column
	}
	return n.Line + 1 + row, utf8.RuneCountInString(strings.TrimSuffix(text, content)) + inRow + 1
}
