using System.Globalization;
using GemmaCore.Evaluation;

namespace GemmaCore.Training.Flare;

/// <summary>Says what is odd about a right answer: the audit of FLARE found 73 such rows (flare.md §1.5).</summary>
internal static class OddAnswer
{
    // Deviations from the median, in units of the median deviation, beyond which a number is listed: 2085 % among 10 to 60 %.
    private const double FarOut = 20;

    /// <summary>The complaint about one answer by itself; null for none.</summary>
    public static string? Complaint(FlareRecord record, string answer)
    {
        switch (record.Task)
        {
            case TaskType.Classification:
                IReadOnlyList<string> letters = QuestionOptions.Letters(record.Question);
                return letters.Count > 0 && !letters.Contains(answer.Trim(), StringComparer.OrdinalIgnoreCase) ? $"'{answer}' is none of the options {string.Join(' ', letters)}" : null;
            case TaskType.Counting:
                return AnswerText.Number(answer) is not { } count ? $"'{answer}' holds no number" : count < 0 || count != Math.Floor(count) ? $"'{answer}' is no count" : null;
            case TaskType.Regression:
                return AnswerText.Number(answer) is null ? $"'{answer}' holds no number" : null;
            case TaskType.Detection:
                if (Boxes.Parse(answer) is not { } boxes) return $"'{answer}' holds no boxes";
                return boxes.Any(box => box.Area <= 0) ? $"'{answer}' has a box without area" : null;
            default:
                return null;
        }
    }

    /// <summary>Which of a data set's numbers lie far from the others.</summary>
    public static IEnumerable<(string Where, string Detail)> FarFromTheRest(IReadOnlyList<(string Where, double Number)> numbers)
    {
        if (numbers.Count < 10) yield break;
        double median = Median([.. numbers.Select(item => item.Number)]), spread = Math.Max(Median([.. numbers.Select(item => Math.Abs(item.Number - median))]), 1e-9);
        foreach ((string where, double number) in numbers)
        {
            if (Math.Abs(number - median) > FarOut * spread)
                yield return (where, string.Create(CultureInfo.InvariantCulture, $"{number} is far from the other answers (median {median})"));
        }
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values.Length % 2 == 1 ? values[values.Length / 2] : (values[values.Length / 2 - 1] + values[values.Length / 2]) / 2;
    }
}
