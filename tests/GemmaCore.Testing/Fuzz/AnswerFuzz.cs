using System.Text;
using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Judges;
using GemmaCore.Evaluation.Regions;

namespace GemmaCore.Testing.Fuzz;

/// <summary>
/// Makes answers out of the pieces that answers are made of, and reads them by all rules. No exception may come out, and what is read must read the same again.
/// </summary>
public static class AnswerFuzz
{
    private static readonly PictureFrame Frame = new(300, 200, Padded: true);

    private static readonly string[] Pieces =
    [
        "[", "]", "{", "}", "(", ")", "[[", "]]", "[1, 2, 3, 4]", "[[10, 20, 30, 40]]", "{\"1\": [[1,2,3,4]]", "\"X\": [[5,6,7,8]]", "\"box\": [1,2,3,4]", "\"label\": \"a\"", "\"labels\": [\"a\", \"b\"]",
        "\"x\": 1", "\"y\": 2e308", "\"width\": -1e999", "\"count\": 7", "\"value\":", ",", ";", "|", "\n", "\t", " ", ":", "\"", "'", "\\", "\\ud800", "true", "false", "null", "None", "True", "nan", "inf",
        "1e3", "-1", "+.5", "12.5 %", "1,234", "999999999999999999999", "0", "07", "1_0", "3", "42", "count is 12", "cells", "about", "I cannot", "A", "B.", "C)", "the answer is D", "Answer:", "assistant\n",
        "Dental Caries", "no findings", "n/a", "é", "İ", "ẞ", "😀", "\u00a0", "\u2003", "\0", "```json\n", "```", "{\"box_2d\": [10, 20, 500, 900], \"label\": \"a\"}", "\"box_2d\":", "\"polygon\": [[1, 2], [3, 4], [5, 7]]", "[Matched Findings]:\n", "[Clinically Significant Errors]:\n(a) x: ", "\"errors\": {}",
        "x1", "\"x1\": 1, \"y1\": 2, \"x2\": 3, \"y2\": 4",
    ];

    /// <summary>Tries <paramref name="inputs"/> answers, always the same for one <paramref name="seed"/>.</summary>
    /// <exception cref="InvalidDataException">An answer reads differently the second time.</exception>
    public static FuzzCount Run(long inputs, int seed)
    {
        var random = new Random(seed);
        long accepted = 0;
        var text = new StringBuilder();
        for (long input = 0; input < inputs; input++)
        {
            text.Clear();
            for (int piece = random.Next(1, 9); piece > 0; piece--) text.Append(random.Next(12) == 0 ? ((char)random.Next(32, 0x250)).ToString() : Pieces[random.Next(Pieces.Length)]);
            if (Try(text.ToString())) accepted++;
        }

        return new FuzzCount(inputs, accepted);
    }

    private static bool Try(string answer)
    {
        string plain = AnswerText.Normalise(answer);
        Same(answer, plain == AnswerText.Normalise(plain));
        IReadOnlySet<string> labels = AnswerText.Labels(answer);
        Same(answer, labels.SetEquals(AnswerText.Labels(AnswerText.FormatLabels(labels))));
        IReadOnlyList<Box>? boxes = Boxes.Parse(answer);
        if (boxes is not null) Same(answer, boxes.SequenceEqual(Boxes.Parse(Boxes.Format(boxes)) ?? []));
        double? number = AnswerText.Number(answer);
        if (number is { } value && double.IsFinite(value)) Same(answer, AnswerText.Number(AnswerText.FormatNumber(value)) == value);
        string spoken = Flare25Answers.PredictedClass(answer);
        Same(answer, Flare25Answers.Class(spoken) == spoken);
        _ = Flare25Answers.Labels(answer);
        _ = Flare25Answers.Boxes(answer);
        _ = Flare25Answers.KeyedBoxes(answer);
        _ = Flare25Answers.Count(answer);
        _ = Flare25Answers.Quantity(answer);
        _ = OfficialRules.Labels(answer);
        _ = OfficialRules.TryReadBoxes(answer, out _);
        _ = PythonFloat.TryParse(answer, out _);
        _ = CrimsonVerdict.Score(answer);
        _ = GreenVerdict.Score(answer);
        if (RegionAnswers.Parse(answer, Frame) is { } regions) Same(answer, RegionAnswers.Parse(RegionFormats.Write(regions, "corners", Frame), Frame)!.Count == regions.Count);
        return boxes is not null || number is not null;
    }

    private static void Same(string answer, bool same)
    {
        if (!same) throw new InvalidDataException($"reads differently the second time: '{answer}'");
    }
}
