namespace GemmaCore.Evaluation.Tests;

public class PythonLiteralTests
{
    // What Python 3.11's ast.literal_eval accepts.
    [Theory]
    [InlineData("[]")]
    [InlineData(" [1, 2.5, -3, +4e2, .5, 1_000] ")]
    [InlineData("[[1,2,3,4],]")]
    [InlineData("(1,)")]
    [InlineData("((1))")]
    [InlineData("{}")]
    [InlineData("{'a': [1], \"b\": (2, 3)}")]
    [InlineData("{1, 2}")]
    [InlineData("'it\\'s'")]
    [InlineData("[None, True, False]")]
    [InlineData("[\n1,\n2]")]
    [InlineData("{\"box\" \"[1, 2]\"}")] // strings beside each other are one
    [InlineData("000")]
    public void Literals_are_read(string text) => Assert.True(PythonLiteral.TryParse(text, out _));

    // What it raises on.
    [Theory]
    [InlineData("")]
    [InlineData("[null]")]
    [InlineData("[true]")]
    [InlineData("[1 2]")]
    [InlineData("[1,,2]")]
    [InlineData("[,]")]
    [InlineData("[1")]
    [InlineData("1]")]
    [InlineData("box")]
    [InlineData("[inf]")]
    [InlineData("007")]
    [InlineData("'open")]
    [InlineData("{'a': 1, 2}")]
    [InlineData("{{}}")]
    [InlineData("{[1]: 2}")]
    [InlineData("1__0")]
    [InlineData("--1")]
    [InlineData("-True")]
    public void Anything_else_is_refused(string text) => Assert.False(PythonLiteral.TryParse(text, out _));

    [Fact]
    public void Deep_brackets_are_refused_and_do_not_overflow() => Assert.False(PythonLiteral.TryParse(new string('[', 100_000), out _));

    [Theory]
    [InlineData("20.0", 20)]
    [InlineData(" -1e3\n", -1000)]
    [InlineData("1_000.5", 1000.5)]
    [InlineData("Infinity", double.PositiveInfinity)]
    [InlineData("-inf", double.NegativeInfinity)]
    [InlineData("nan", double.NaN)]
    public void Floats_are_read(string text, double expected)
    {
        Assert.True(PythonFloat.TryParse(text, out double value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1,000")]
    [InlineData("5 %")]
    [InlineData("--1")]
    [InlineData("1_")]
    [InlineData("_1")]
    [InlineData("0x10")]
    [InlineData("1e")]
    public void Other_texts_are_no_floats(string text) => Assert.False(PythonFloat.TryParse(text, out _));
}
