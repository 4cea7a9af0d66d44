package expr

import (
	"slices"
	"sync"
	"time"

	"cel.dev/cel-go/common/ast"

	"github.com/watershed-data/watershed/internal/column"
)

// Expr is one checked expression. It may be evaluated by many goroutines at
// once.
type Expr struct {
	Text    string
	Type    column.Type
	Columns []string // the columns it reads, sorted

	root    node
	reasons []string
	scratch sync.Pool // of *batch

	reference func() (*reference, error) // cel-go's evaluator, made on first use
}

// Error is what is wrong with an expression's text.
type Error struct {
	Offset  int // in code points from the start of the text
	Message string
	Remedy  string // what to write instead
}

func (e *Error) Error() string { return e.Message }

// Compile parses and checks an expression over the given columns. A column may
// have a name with a point, product.category: a lookup's attribute. Times are
// taken apart in the zone (nil is UTC). The map is not kept. The error is an
// *Error.
func Compile(text string, columns map[string]column.Type, zone *time.Location) (*Expr, error) {
	e, err := compile(text, columns, zone)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func compile(text string, columns map[string]column.Type, zone *time.Location) (*Expr, *Error) {
	if zone == nil {
		zone = time.UTC
	}
	tree, source, err := parse(text)
	if err != nil {
		return nil, err
	}
	c := newCompilation(text, columns, tree)
	if err := c.vet(tree.Expr()); err != nil {
		return nil, err
	}
	c.nestCoalesce()
	if err := c.check(source); err != nil {
		return nil, err
	}
	if err := c.settle(c.tree.Expr()); err != nil {
		return nil, err
	}
	e := &Expr{Text: text, Columns: columnsRead(c.tree.Expr())}
	b := &builder{compilation: c, names: e.Columns, zone: zone}
	if e.root, err = b.build(c.tree.Expr()); err != nil {
		return nil, err
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	e.Type, e.reasons = e.root.typ, b.reasons
	e.scratch.New = func() any { return &batch{} }
	e.reference = sync.OnceValues(func() (*reference, error) { return newReference(c, zone) })
	return e, nil
}

// columnsRead lists the columns of a tree, sorted.
func columnsRead(tree ast.Expr) []string {
	var names []string
	ast.PreOrderVisit(tree, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			names = append(names, e.AsIdent())
		}
	}))
	slices.Sort(names)
	return slices.Compact(names)
}

// Eval evaluates the expression on rows 0..n-1 of a batch. A row whose
// evaluation fails (overflow, a text that is no number) has its reason in
// failures and is null in the result; failures is nil if no row failed. The
// columns that get gives have n rows or more, and are not changed.
func (e *Expr) Eval(get func(name string) *column.Vector, n int) (result *column.Vector, failures map[int]string) {
	b := e.scratch.Get().(*batch)
	defer e.scratch.Put(b)
	b.reset(n, len(e.Columns))
	for i, name := range e.Columns {
		b.columns[i] = columnValues(b, get(name))
	}
	result, failures = b.vector(e.root.kernel(b), e.Type, e.reasons)
	b.release()
	return result, failures
}

// EvalCEL evaluates the expression on one row with cel-go's own evaluator,
// independently of Eval. It is slow: the oracle and tests use it. A row that
// fails is an error whose text is the reason that Eval gives.
func (e *Expr) EvalCEL(get func(name string) column.Value) (column.Value, error) {
	r, err := e.reference()
	if err != nil {
		return column.Null, err
	}
	return r.eval(e, get)
}
