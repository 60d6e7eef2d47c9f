using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

public class LearningRateScheduleTests
{
    [Theory]
    [InlineData("training/all_linear_r8.json")]
    [InlineData("training/text_only_r4.json")]
    public void Rates_are_those_of_the_python_runs(string golden)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Goldens.Path(golden)));
        JsonElement run = document.RootElement;
        var schedule = new LearningRateSchedule(
            run.GetProperty("schedule").GetString()!,
            run.GetProperty("learning_rate").GetDouble(),
            run.GetProperty("warmup_steps").GetInt32(),
            run.GetProperty("steps").GetInt32());
        double[] expected = [.. run.GetProperty("log").EnumerateArray().Select(entry => entry.GetProperty("learning_rate").GetDouble())];
        Assert.NotEmpty(expected);
        for (int step = 0; step < expected.Length; step++) Assert.Equal(expected[step], schedule.Rate(step), 1e-15);
    }

    // Worked by hand: peak 1, warm-up 2 of 10 steps; steps 0, 1, 2, 6 and 10 stand at progress -, -, 0, 1/2 and 1.
    [Theory]
    [InlineData("linear", 0, 0.5, 1, 0.5, 0)]
    [InlineData("cosine", 0, 0.5, 1, 0.5, 0)]
    [InlineData("constant", 1, 1, 1, 1, 1)]
    [InlineData("constant_with_warmup", 0, 0.5, 1, 1, 1)]
    [InlineData("cosine_with_min_lr", 0, 0.5, 1, 0.55, 0.1)]
    public void Factors_follow_the_formula(string type, double at0, double at1, double at2, double at6, double at10)
    {
        var schedule = new LearningRateSchedule(type, 1, 2, 10, 0.1);
        double[] expected = [at0, at1, at2, at6, at10];
        int[] steps = [0, 1, 2, 6, 10];
        for (int i = 0; i < steps.Length; i++) Assert.Equal(expected[i], schedule.Rate(steps[i]), 1e-15);
    }

    [Fact]
    public void A_quarter_of_the_cosine_is_where_it_should_be() => Assert.Equal(0.85355339059327373, new LearningRateSchedule("cosine", 1, 0, 4).Rate(1), 1e-15);

    [Fact]
    public void Without_warm_up_the_first_step_has_the_peak() => Assert.Equal(3e-4, new LearningRateSchedule("linear", 3e-4, 0, 7).Rate(0));

    [Fact]
    public void Another_schedule_is_refused_by_name() =>
        Assert.Contains("'polynomial'", Assert.Throws<ArgumentException>(() => new LearningRateSchedule("polynomial", 1, 0, 1)).Message, StringComparison.Ordinal);
}
