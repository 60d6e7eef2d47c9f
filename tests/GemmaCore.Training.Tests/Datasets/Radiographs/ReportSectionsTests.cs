using CsCheck;
using GemmaCore.Training.Datasets.Radiographs;

namespace GemmaCore.Training.Tests.Datasets.Radiographs;

public class ReportSectionsTests
{
    [Theory]
    [InlineData("FINDINGS: One.\nIMPRESSION: Two.", "One.", "Two.")]
    [InlineData("FINDINGS AND IMPRESSION: One.", "One.", null)]
    [InlineData("Findings:\n  One\n  two.\n\nConclusion: Three.", "One two.", "Three.")]
    [InlineData("FINDINGS: One.\nWET READ: not this.\nFINDINGS: Two.", "One. Two.", null)]
    [InlineData("FINDINGS: As follows: heart normal.\nNote that: it is large.", "As follows: heart normal. Note that: it is large.", null)]
    [InlineData("FINDINGS:\nIMPRESSION:\n", null, null)]
    [InlineData("PA AND LATERAL CHEST RADIOGRAPH: One.", null, null)]
    [InlineData("", null, null)]
    [InlineData("FINDINGS: One.\r\n\r\nIMPRESSION:\r\n Two.\r\n", "One.", "Two.")]
    public void Sections_are_what_stands_behind_their_headings(string report, string? findings, string? impression)
    {
        Dictionary<string, string> sections = ReportSections.Of(report);
        Assert.Equal((findings, impression), (sections.GetValueOrDefault("findings"), sections.GetValueOrDefault("impression")));
    }

    [Fact]
    public void Any_text_is_read_and_nothing_is_made_up() => Gen.String.Sample(text =>
    {
        foreach (string word in ReportSections.Of("FINDINGS:" + text).Values.SelectMany(section => section.Split(' '))) Assert.Contains(word, text, StringComparison.Ordinal);
    });
}
