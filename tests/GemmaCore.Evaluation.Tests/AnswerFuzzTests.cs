using GemmaCore.Testing.Fuzz;

namespace GemmaCore.Evaluation.Tests;

public class AnswerFuzzTests
{
    // tools/fuzz.sh tries a million and more.
    [Fact]
    public void Answers_of_any_kind_are_read_without_an_exception_and_the_same_again()
    {
        FuzzCount count = AnswerFuzz.Run(50_000, seed: 7);
        Assert.True(count.Accepted > 10_000, count.ToString());
        Assert.True(count.Accepted < count.Inputs);
    }
}
