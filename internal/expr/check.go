package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"github.com/watershed-data/watershed/internal/column"
)

// compilation is the work of one Compile: the tree, and what messages need.
type compilation struct {
	text    []rune
	columns map[string]column.Type
	tree    *ast.AST
	asTyped map[int64]ast.Expr // nodes as the user wrote them, for messages
	origin  map[int64]int64    // a node the compiler made -> the user's node it belongs to
	nextID  int64
	factory ast.ExprFactory
	types   map[int64]column.Type // by node, scales included; set by settle
}

func newCompilation(text string, columns map[string]column.Type, tree *ast.AST) *compilation {
	c := &compilation{
		text: []rune(text), columns: maps.Clone(columns), tree: tree,
		asTyped: map[int64]ast.Expr{}, origin: map[int64]int64{}, nextID: ast.MaxID(tree),
		factory: ast.NewExprFactory(), types: map[int64]column.Type{},
	}
	ast.PreOrderVisit(ast.Copy(tree).Expr(), ast.NewExprVisitor(func(e ast.Expr) { c.asTyped[e.ID()] = e }))
	return c
}

// newID gives the id of a node that the compiler makes on behalf of a node.
func (c *compilation) newID(behalf int64) int64 {
	id := c.nextID
	c.nextID++
	c.origin[id] = c.written(behalf)
	return id
}

// written gives the user's node that a node belongs to.
func (c *compilation) written(id int64) int64 {
	if o, ok := c.origin[id]; ok {
		return o
	}
	return id
}

// offset is where a node begins in the text: an operator where it stands, a
// call where the function's name does.
func (c *compilation) offset(id int64) int {
	r, _ := c.tree.SourceInfo().GetOffsetRange(c.written(id))
	at := min(max(int(r.Start), 0), len(c.text))
	if at < len(c.text) && c.text[at] == '(' {
		for at > 0 && isNameRune(c.text[at-1]) {
			at--
		}
	}
	return at
}

func isNameRune(r rune) bool {
	return r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// maxSnippet bounds the part of a reason that quotes the expression.
const maxSnippet = 80

// snippet quotes a node as the user wrote it, for reasons and messages.
func (c *compilation) snippet(id int64) string {
	e, ok := c.asTyped[c.written(id)]
	if !ok {
		return string(c.text)
	}
	s, err := parser.Unparse(e, c.tree.SourceInfo(), parser.WrapOnColumn(maxCodePoints*2))
	if err != nil {
		s = string(c.text)
	}
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxSnippet {
		s = string(r[:maxSnippet-1]) + "…"
	}
	return s
}

func (c *compilation) errorAt(id int64, remedy, format string, args ...any) *Error {
	return &Error{Offset: c.offset(id), Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// arguments gives a call's arguments, the receiver of x.f(...) first.
func arguments(call ast.CallExpr) []ast.Expr {
	if call.IsMemberFunction() {
		return append([]ast.Expr{call.Target()}, call.Args()...)
	}
	return call.Args()
}

// vet refuses what the language does not have, and names what it has instead.
func (c *compilation) vet(e ast.Expr) *Error {
	switch e.Kind() {
	case ast.IdentKind:
		return c.vetColumn(e)
	case ast.LiteralKind:
		return c.vetLiteral(e)
	case ast.CallKind:
		return c.vetCall(e)
	case ast.SelectKind:
		return c.vetPath(e)
	case ast.ListKind:
		return c.errorAt(e.ID(), "write x in ['a', 'b']", "a list stands only after in")
	default:
		return c.errorAt(e.ID(), "expressions have columns, constants, operators and functions only", "{ } is not part of expressions")
	}
}

func (c *compilation) vetColumn(e ast.Expr) *Error {
	name := e.AsIdent()
	if t, ok := c.columns[name]; ok {
		if checkedTypes[t.Kind] == nil {
			return c.errorAt(e.ID(), "correct the column's type first", "column %s has no type", name)
		}
		return nil
	}
	names := slices.Sorted(maps.Keys(c.columns))
	if hint := nearest(name, names); hint != "" {
		return c.errorAt(e.ID(), fmt.Sprintf("write %s; the columns are %s", hint, listing(names)), "there is no column %s", name)
	}
	if len(names) == 0 {
		return c.errorAt(e.ID(), "no column is declared here", "there is no column %s", name)
	}
	return c.errorAt(e.ID(), fmt.Sprintf("the columns are %s; a text stands in quotes", listing(names)), "there is no column %s", name)
}

// vetPath lets a name with a point pass, which is a lookup's attribute; cel-go
// reads it as one name.
func (c *compilation) vetPath(e ast.Expr) *Error {
	name, ok := dotted(e)
	if _, known := c.columns[name]; ok && known {
		return nil
	}
	var paths []string
	for known := range c.columns {
		if strings.Contains(known, ".") {
			paths = append(paths, known)
		}
	}
	if ok && len(paths) > 0 {
		slices.Sort(paths)
		return c.errorAt(e.ID(), "the attributes are "+listing(paths), "there is no attribute %s", name)
	}
	return c.errorAt(e.ID(), "declare a column with from: and the path, and write the column's name", "a path such as %s is not for expressions", c.snippet(e.ID()))
}

// dotted gives the name that a path of names makes: a.b.
func dotted(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		s := e.AsSelect()
		name, ok := dotted(s.Operand())
		return name + "." + s.FieldName(), ok && !s.IsTestOnly()
	}
	return "", false
}

func (c *compilation) vetLiteral(e ast.Expr) *Error {
	switch e.AsLiteral().(type) {
	case types.String, types.Int, types.Double, types.Bool:
		return nil
	case types.Null:
		return c.errorAt(e.ID(), "an expression over a null is null; write coalesce(x, value) to give a value in place of null", "null cannot be written or compared with")
	default:
		return c.errorAt(e.ID(), "write texts as 'abc' and numbers as 12 or 0.5", "%s is a kind of constant that expressions do not have", c.snippet(e.ID()))
	}
}

func (c *compilation) vetCall(e ast.Expr) *Error {
	call := e.AsCall()
	name := call.FunctionName()
	if _, ok := functionsByName[name]; !ok {
		return c.unknownFunction(e.ID(), name)
	}
	args := arguments(call)
	if name == operators.In {
		if args[1].Kind() != ast.ListKind {
			return c.errorAt(e.ID(), functionsByName[name].remedy, "in needs a list in square brackets on its right")
		}
		args = append([]ast.Expr{args[0]}, args[1].AsList().Elements()...)
	}
	if len(args) > maxArguments && name == coalesceFunction {
		return c.errorAt(e.ID(), "nest them over several set steps", "coalesce takes at most %d values", maxArguments)
	}
	for _, a := range args {
		if err := c.vet(a); err != nil {
			return err
		}
	}
	return nil
}

// otherNames are functions people know from CEL and SQL, and what is here instead.
var otherNames = map[string]string{
	operators.Divide: "multiply by a decimal, for instance price * 0.5; a view's avg divides exactly", operators.Modulo: "there is no remainder; write the rule with comparisons",
	operators.Index: "write substr(s, from, length) for a part of a string",
	"has":           "missing is null: write coalesce(x, value)", "ifnull": "write coalesce(x, value)", "nvl": "write coalesce(x, value)", "isnull": "write coalesce(x, value)",
	"lowerAscii": "write lower(s)", "toLower": "write lower(s)", "toLowerCase": "write lower(s)", "lcase": "write lower(s)",
	"upperAscii": "write upper(s)", "toUpper": "write upper(s)", "toUpperCase": "write upper(s)", "ucase": "write upper(s)",
	"strip": "write trim(s)", "substring": "write substr(s, from, length); from counts from 0", "length": "write size(s)", "len": "write size(s)",
	"concat": "write a + b", "like": "write contains(s, part) or matches(s, '...')", "indexOf": "write contains(s, part)",
	"double": "write decimal(x, scale): floats are only compared", "float": "write decimal(x, scale): floats are only compared", "uint": "write int(x)", "cast": "write int(x), string(x) or decimal(x, scale)",
	"getFullYear": "write year(t)", "getMonth": "write month(t), which counts from 1", "getDayOfMonth": "write day(t), which counts from 1", "getDate": "write day(t)",
	"getHours": "write hour(t)", "getDayOfWeek": "write weekday(t): Monday is 1, Sunday is 7", "dayofweek": "write weekday(t): Monday is 1, Sunday is 7",
}

func (c *compilation) unknownFunction(id int64, name string) *Error {
	if symbol, ok := operators.FindReverse(name); ok {
		if symbol == "" {
			symbol = "[ ] after a value"
		}
		return c.errorAt(id, otherNames[name], "%s is not supported", symbol)
	}
	all := "the functions are " + strings.Join(callableNames, ", ")
	remedy, known := otherNames[name]
	if !known {
		if hint := nearest(name, callableNames); hint != "" {
			remedy, known = "write "+hint, true
		}
	}
	if known {
		remedy += "; " + all
	} else {
		remedy = all
	}
	return c.errorAt(id, remedy, "%s is not supported", name)
}

// nestCoalesce rewrites coalesce(a, b, c) as coalesce(coalesce(a, b), c), which
// means the same and needs only two-argument signatures.
func (c *compilation) nestCoalesce() {
	ast.PostOrderVisit(c.tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != coalesceFunction || e.AsCall().IsMemberFunction() {
			return
		}
		args := e.AsCall().Args()
		if len(args) <= 2 {
			return
		}
		left := args[0]
		for _, next := range args[1 : len(args)-1] {
			left = c.factory.NewCall(c.newID(e.ID()), coalesceFunction, left, next)
		}
		e.SetKindCase(c.factory.NewCall(e.ID(), coalesceFunction, left, args[len(args)-1]))
	}))
}

// check gives every node its type, by cel-go's checker.
func (c *compilation) check(source common.Source) *Error {
	env, err := columnChecker(c.columns)
	if err != nil {
		return &Error{Message: err.Error(), Remedy: "rename the column"}
	}
	checked, errs := checker.Check(c.tree, source, env)
	c.tree = checked
	if found := errs.GetErrors(); len(found) > 0 {
		if e := c.firstMisfit(checked.Expr()); e != nil {
			return e
		}
		return &Error{Message: found[0].Message, Remedy: "check the types of the columns"}
	}
	return nil
}

// firstMisfit finds the innermost, leftmost call whose arguments do not fit.
func (c *compilation) firstMisfit(e ast.Expr) *Error {
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	args := arguments(call)
	for _, a := range args {
		if err := c.firstMisfit(a); err != nil {
			return err
		}
	}
	if c.tree.GetType(e.ID()).Kind() != types.ErrorKind {
		return nil
	}
	f := functionsByName[call.FunctionName()]
	if call.IsMemberFunction() && !f.method {
		return c.errorAt(e.ID(), f.remedy, "%s is not written after a dot", f.name)
	}
	return c.misfit(e.ID(), f, args)
}

func (c *compilation) misfit(id int64, f function, args []ast.Expr) *Error {
	kinds := make([]string, len(args))
	for i, a := range args {
		kinds[i] = withArticle(c.typeName(a))
	}
	if len(args) == 0 {
		kinds = []string{"nothing"}
	}
	name := f.name
	switch symbol, isOperator := operators.FindReverse(f.name); {
	case f.name == operators.Conditional:
		name = "? :"
	case isOperator:
		name = symbol
	}
	return c.errorAt(id, f.remedy, "%s cannot be used on %s", name, joined(kinds))
}

// typeName names a node's type for messages: with its scale once that is known.
func (c *compilation) typeName(e ast.Expr) string {
	if t, ok := c.types[e.ID()]; ok {
		return t.String()
	}
	t := c.tree.GetType(e.ID())
	switch t.Kind() {
	case types.DoubleKind:
		return "float"
	case types.ListKind:
		return "list"
	default:
		return t.TypeName()
	}
}
