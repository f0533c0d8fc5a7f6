package model

import "strings"

// The kinds of entries.
const (
	insult    = "insult"
	threat    = "threat"
	contempt  = "contempt"
	profanity = "profanity"
)

type entry struct {
	kind   string
	weight float64
	aimed  bool // at the reader, by what it says
}

// The lexicon is the project's own and has no slurs: mild words are enough to
// show how a score comes about.
var entries, longest = compile(map[string][]group{
	insult: {
		{0.62, false, "idiot, idiots, moron, morons, imbecile, imbeciles, cretin, scumbag, lowlife, degenerate"},
		{0.52, false, "loser, losers, clown, clowns, fool, fools, jerk, jerks, creep, numbskull, halfwit, dimwit, nitwit, " +
			"blockhead, buffoon, dunce, parasite, vermin, coward, cowards, troll, trash, garbage, scum"},
		{0.42, false, "stupid, dumb, pathetic, worthless, brainless, clueless, incompetent, disgusting, spineless, talentless, idiotic, moronic"},
		{0.24, false, "ugly, lazy, ridiculous, ignorant, useless, lame, liar, liars"},
		// German, Spanish, French, Italian, Portuguese
		{0.62, false, "vollidiot, dummkopf, trottel, depp, idiota, idiotas, imbécil, imbecil, imbécile, crétin, cretino, estúpido, estupido, débile, scemo"},
		{0.42, false, "blöd, dämlich, dumm, tonto, stupide, burro"},
	},
	contempt: {
		{0.72, true, "shut up, shut your mouth, go away and never come back, get lost, nobody likes you, nobody wants you here, no one likes you, " +
			"you make me sick, you should be ashamed, you are nothing, youre nothing, waste of space, waste of oxygen, " +
			"crawl back, go back to your cave, halt die klappe, halt den mund, halts maul, cállate, callate, ferme la, ta gueule, stai zitto, cala a boca"},
		{0.42, true, "touch grass, get a life, grow up, learn to read, sit down and be quiet, cry about it, cope harder, nobody asked you, nobody asked, verpiss dich"},
		{0.35, false, "hate you, despise you, cant stand you, sick of you, sick of people like you, people like you"},
	},
	threat: {
		{0.88, true, "i will find you, ill find you, i know where you live, we know where you live, i will hurt you, ill hurt you, " +
			"you will regret this, youll regret this, you will pay for this, youll pay for this, watch your back, " +
			"youre going to get hurt, you are going to get hurt, i will make you suffer, ich weiß wo du wohnst, das wirst du bereuen, " +
			"sé dónde vives, se donde vives, te vas a arrepentir, tu vas le regretter, je sais où tu habites"},
		{0.66, true, "you better run, sleep with one eye open, wait until i see you, come say that to my face, you had better be careful, youd better be careful, " +
			"people like you get what they deserve, you will get what you deserve, youll get what you deserve, accidents happen to"},
		{0.42, true, "or else, you have been warned, youve been warned, last warning"},
	},
	// Phrases that only look bad, found before the words in them.
	"": {{0, false, "garbage collector, garbage collection, garbage collected, garbage in, trash can, dumb terminal, dumb pipe, dumb pipes, " +
		"dumb question, stupid question, stupid mistake, stupid simple, fools gold, no fool, class clown, as hell, hell yes, hell yeah"}},
	profanity: {
		{0.18, false, "damn, damned, crap, crappy, bloody, hell, screw you, screw this, freaking, wtf, piss off, sucks, suck"},
	},
})

type group struct {
	weight float64
	aimed  bool
	words  string
}

// compile also returns how many words the longest entry has that starts with a
// word.
func compile(lexicon map[string][]group) (all map[string]entry, longest map[string]int) {
	all, longest = map[string]entry{}, map[string]int{}
	for kind, groups := range lexicon {
		for _, g := range groups {
			for _, words := range strings.Split(g.words, ", ") {
				all[words] = entry{kind, g.weight, g.aimed}
				first, _, _ := strings.Cut(words, " ")
				longest[first] = max(longest[first], strings.Count(words, " ")+1)
			}
		}
	}
	return all, longest
}

var (
	secondPerson = set("you, your, youre, yours, yourself, u, ur, du, dich, dir, dein, deine, bist, sie, tú, tu, te, eres, vous, toi, sei, você")
	firstPerson  = set("i, im, me, my, myself, ich, mich, mein, meine, yo, soy, je, suis, io, sono")
	intensifiers = set("very, so, such, really, totally, absolutely, complete, completely, total, utter, utterly, freaking, bloody, damn, " +
		"incredibly, massive, biggest, pure, too, echt, völlig, total, so, muy, tan, tellement, très, vraiment, davvero")
	negations = set("not, no, never, isnt, arent, wasnt, werent, dont, doesnt, didnt, wont, wouldnt, cant, cannot, aint, nobody, hardly, without, neither, nor, " +
		"nicht, kein, keine, keiner, nie, niemals, nunca, jamás, ni, pas, jamais, aucun, non, mai, não")

	// known1 are the words that fold must find besides the entries.
	known1 = union(secondPerson, firstPerson, intensifiers, negations)
)

func set(words string) map[string]bool {
	s := map[string]bool{}
	for _, w := range strings.Split(words, ", ") {
		s[w] = true
	}
	return s
}

func union(sets ...map[string]bool) map[string]bool {
	all := map[string]bool{}
	for _, s := range sets {
		for w := range s {
			all[w] = true
		}
	}
	return all
}
