package expr

import "strings"

// maxListed bounds how many names a message lists.
const maxListed = 30

func listing(names []string) string {
	if len(names) > maxListed {
		return strings.Join(names[:maxListed], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func withArticle(noun string) string {
	if strings.HasPrefix(noun, "int") {
		return "an " + noun
	}
	return "a " + noun
}

// joined lists words as a sentence does: a, b and c.
func joined(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// nearest gives the name that was probably meant, or nothing.
func nearest(name string, names []string) string {
	best, bestDistance := "", min(1+len(name)/3, len(name)-1)
	for _, n := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(n)); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = n, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and substitutions between two names.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
