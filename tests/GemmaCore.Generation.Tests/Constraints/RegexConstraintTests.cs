using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>The automaton against .NET's own regular expressions.</summary>
public sealed class RegexConstraintTests
{
    // ECMAScript's classes are ASCII, as ours are.
    public static TheoryData<string, string> Expressions => new()
    {
        { "", "ab" },
        { "abc", "abc" },
        { "a|bc|", "abc" },
        { "(a|b)*abb", "ab" },
        { "(?:ab|a)(c|bc)?", "abc" },
        { "a{2,4}b{0,2}c{3}", "abc" },
        { "(ab?){2,}", "ab" },
        { "a{,2}", "a{,2}" },
        { "[a-c]+[^a-c]", "abcd-" },
        { "[-a]+[b-]", "ab-" },
        { @"\d+(\.\d{1,2})?", "0129.٣" },
        { @"\w\W\s\S", "a_1é- \t" },
        { "a.c", "abc\n\u00e9" },
        { "[\u00e0-\u00ff]{1,2}x?", "\u00e0\u00ffx\u0100" },
        { "[\u0400-\uffee]+", "\u0400\u4e00\uffef\u007f" },
        { "(a*)*b", "ab" },
        { "(a|aa)+?c", "ac" },
        { @"\x41\u0042\.\[\{", "AB.[{" },
        { "^a$|^b", "ab" },
        { @"[\d\-x]+", "1-xd" },
        { "((a{1,3}){1,3}){1,3}b", "ab" },
    };

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Allows_what_the_regular_expression_matches_as_a_whole(string expression, string alphabet)
    {
        var regex = new Regex($"^(?:{expression})$(?!\n)", RegexOptions.ECMAScript | RegexOptions.CultureInvariant);
        Constraint constraint = DemoVocabulary.Compiler.Regex(expression);
        int matches = 0;
        foreach (string text in Texts(alphabet, 7))
        {
            bool expected = regex.IsMatch(text) && !(text.EndsWith('\n') && !regex.IsMatch(text + "\n"));
            Assert.True(constraint.Allows(text) == expected, $"/{expression}/ on '{text}': expected {expected}");
            matches += expected ? 1 : 0;
        }

        Assert.True(matches > 0, "the expression was not tried on anything that it matches");
    }

    [Fact]
    public void Allows_what_random_expressions_match()
    {
        Gen<string> atom = Gen.OneOf(Gen.Char["abé"].Select(c => c.ToString()), Gen.Const("."), Gen.Const("[^a]"), Gen.Const("[ab]"));
        Gen<string> expression = Gen.Recursive<string>((depth, inner) => depth > 3 ? atom : Gen.OneOf(
            atom, Gen.Select(inner, inner, (x, y) => x + y), Gen.Select(inner, inner, (x, y) => $"({x}|{y})"), inner.Select(x => $"({x})*"), inner.Select(x => $"(?:{x}){{1,2}}"),
            inner.Select(x => $"({x})?")));
        var compiler = new ConstraintCompiler(DemoVocabulary.Tokenizer);
        expression.Sample(
            text =>
            {
                var regex = new Regex($"^(?:{text})$", RegexOptions.ECMAScript);
                Constraint constraint = compiler.Regex(text);
                foreach (string candidate in Texts("abé", 4))
                    if (constraint.Allows(candidate) != regex.IsMatch(candidate)) return false;
                return true;
            },
            iter: 300);
    }

    [Fact]
    public void What_is_drawn_under_an_expression_matches_it()
    {
        foreach (string expression in (string[])[@"(yes|no), because [a-z ]{5,40}\.", @"\d{4}-\d{2}-\d{2}", "[\u0400-\u04ff]{3,9}", "(left|right) (upper|middle|lower) lobe"])
        {
            Constraint constraint = DemoVocabulary.Compiler.Regex(expression);
            var regex = new Regex($"^(?:{expression})$");
            for (ulong seed = 0; seed < 50; seed++)
            {
                (string text, bool whole) = DemoVocabulary.Draw(constraint, seed, 200);
                Assert.True(whole && regex.IsMatch(text), $"/{expression}/ drew '{text}'");
                Assert.True(constraint.Allows(text));
            }
        }
    }

    [Fact]
    public void Characters_beyond_the_first_plane_are_one_character()
    {
        Constraint constraint = DemoVocabulary.Compiler.Regex("[\U0001f970-\U0001fa7f].");
        Assert.True(constraint.Allows("\U0001fa7a\U00010000"));
        Assert.False(constraint.Allows("\U0001fa7a"));
        Assert.False(constraint.Allows("\U0001fa80x"));
        for (ulong seed = 0; seed < 20; seed++) Assert.Matches("^\\ud83e[\\ud800-\\udfff]", DemoVocabulary.Draw(constraint, seed, 20).Text);
    }

    [Theory]
    [InlineData("(a", "not closed")]
    [InlineData("a)", "unmatched )")]
    [InlineData("[a", "not closed")]
    [InlineData("[]a]", "empty class")]
    [InlineData("[z-a]", "end is before")]
    [InlineData(@"[\d-z]", "class as its end")]
    [InlineData("*a", "nothing before it")]
    [InlineData("a**", "repetition of a repetition")]
    [InlineData("a{3,2}", "ends before it begins")]
    [InlineData("a{1001}", "more than 1000")]
    [InlineData("a{99999999999}", "more than 1000")]
    [InlineData("a^b", "anchors")]
    [InlineData("(?=a)", "look-around")]
    [InlineData("(?i)a", "flags")]
    [InlineData("(?<n>a)", "names")]
    [InlineData(@"(a)\1", "reference")]
    [InlineData(@"\bword", "word boundary")]
    [InlineData(@"\p{L}", "Unicode category")]
    [InlineData("[[:alpha:]]", "POSIX")]
    [InlineData(@"\u12", "4 hexadecimal digits")]
    [InlineData(@"\ud800", "surrogate")]
    [InlineData("a\\", "backslash")]
    [InlineData(@"\q", "nobody knows")]
    [InlineData("[^\\s\\S]", "no text")]
    public void Says_what_it_does_not_take(string expression, string complaint)
    {
        string message = Assert.Throws<InputException>(() => DemoVocabulary.Compiler.Regex(expression)).Message;
        Assert.Contains(complaint, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    // All texts up to a length, or some thousands of them.
    private static List<string> Texts(string alphabet, int longest)
    {
        Rune[] runes = [.. alphabet.EnumerateRunes()];
        List<string> texts = [""];
        for (int at = 0; at < texts.Count && texts.Count < 6000; at++)
            if (texts[at].Length < longest) texts.AddRange(runes.Select(rune => texts[at] + rune));
        return texts;
    }
}
