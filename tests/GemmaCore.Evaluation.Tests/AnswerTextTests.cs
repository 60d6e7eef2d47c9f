using CsCheck;

namespace GemmaCore.Evaluation.Tests;

public class AnswerTextTests
{
    [Theory]
    [InlineData("  B \n", "b")]
    [InlineData("Standard\t plane  view", "standard plane view")]
    [InlineData("", "")]
    public void Normalise_lowers_trims_and_squeezes(string text, string expected) => Assert.Equal(expected, AnswerText.Normalise(text));

    [Theory]
    [InlineData("drusen; haemorrhage", "drusen|haemorrhage")]
    [InlineData("Drusen, Haemorrhage,drusen", "drusen|haemorrhage")]
    [InlineData("a, b; c", "a, b|c")] // a semicolon anywhere makes commas part of the labels
    [InlineData("a|b\nc", "a|b|c")]
    [InlineData("None", "")]
    [InlineData(" no  findings ", "")]
    [InlineData("N/A", "")]
    [InlineData("[]", "")]
    [InlineData("[\"A\", \"b \", 20.0]", "20|a|b")]
    [InlineData("{\"labels\": [\"x\", \"y\"]}", "x|y")]
    [InlineData("{\"labels\": \"x; y\"}", "x|y")]
    [InlineData("{\"x\": true, \"y\": false, \"z\": 1}", "x|z")]
    [InlineData("{\"a\": 0, \"b\": \"yes\", \"c\": \"\", \"d\": null, \"e\": []}", "b")] // what Python takes for true
    [InlineData("a; None; b", "a|b")] // a label that says there is none is none, also among others
    [InlineData("[\"No finding\"]", "")]
    [InlineData("[null, 1.5, true]", "1.5|true")]
    [InlineData("{\"labels\": {\"x\": 1, \"none\": 1}}", "x")]
    [InlineData("[unclosed, list", "[unclosed|list")]
    [InlineData("Endodontic Treatment, Restorative Treatment, and Complications", "and complications|endodontic treatment|restorative treatment")]
    public void Labels_follow_the_2026_rules(string text, string expected) =>
        Assert.Equal(expected.Length == 0 ? [] : expected.Split('|'), AnswerText.Labels(text).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData("7", 7)]
    [InlineData("about 1,234.5 cells", 1234.5)]
    [InlineData("-3.25 mm", -3.25)]
    [InlineData("1e3", 1)] // no exponents
    [InlineData("[12]", 12)]
    [InlineData("{\"count\": \"9\"}", 9)]
    [InlineData("{\"value\": {\"count\": 5}}", 5)]
    [InlineData("{\"boxes\": 3}", 3)] // no member of a known name: the text is searched, as for any other answer
    [InlineData("[1.5e-7]", 1.5e-7)] // a JSON number keeps its exponent
    public void Number_takes_the_first_number(string text, double expected) => Assert.Equal(expected, AnswerText.Number(text));

    [Theory]
    [InlineData("many")]
    [InlineData("")]
    [InlineData("[1, 2]")] // which of the two?
    [InlineData("[true]")]
    [InlineData("{\"value\": null}")]
    public void Number_is_null_when_there_is_none(string text) => Assert.Null(AnswerText.Number(text));

    [Fact]
    public void A_number_of_250_digits_stays_a_number() => Assert.Equal(2.469e249, AnswerText.Number("2469" + new string('0', 246))!.Value, 1e236);

    [Theory]
    [InlineData("[\"\\ud800\"]")]
    [InlineData("{\"\\ud800\": true}")]
    public void Half_a_surrogate_pair_is_text_not_json(string text)
    {
        Assert.Null(AnswerText.Decode(text));
        Assert.NotEmpty(AnswerText.Labels(text));
        Assert.Null(Boxes.Parse(text));
    }

    [Fact]
    public void Half_a_pair_in_the_text_itself_is_text_too() => Assert.Null(AnswerText.Decode($"[\"{(char)0xD800}\"]"));

    [Fact]
    public void Any_text_is_read_without_an_exception() => Gen.String[Gen.Char["[]{}0123456789.,-+e:;|\" \\ud8truefalsnboxxy\n\ud800é"], 0, 40].Sample(text =>
    {
        _ = AnswerText.Labels(text);
        _ = AnswerText.Number(text);
        _ = Boxes.Parse(text);
        return AnswerText.Normalise(AnswerText.Normalise(text)) == AnswerText.Normalise(text);
    }, iter: 20_000);
}
