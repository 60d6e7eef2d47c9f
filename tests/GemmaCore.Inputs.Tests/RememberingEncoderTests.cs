using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class RememberingEncoderTests
{
    private static readonly string Photo = Goldens.Path("images/photo_100x60.bmp"), Other = Goldens.Path("images/rgb_37x53.png");

    private static readonly PromptEncoder Plain = PromptEncoder.Load(Goldens.DemoPath("model"));

    [Fact]
    public void A_picture_of_several_prompts_is_prepared_once_and_is_the_same_picture()
    {
        PromptEncoder remembering = Plain.Remembering();
        Prompt first = Encode(remembering, "What?", Photo), second = Encode(remembering, "Where is it?", Photo, Other), third = Encode(remembering, "Why?", Other);
        Assert.Same(first.Images[0], second.Images[0]);
        Assert.Same(second.Images[1], third.Images[0]);
        Assert.NotSame(first.Images[0], Encode(Plain, "What?", Photo).Images[0]);
        Assert.NotSame(first.Images[0], Encode(Plain.Remembering(), "What?", Photo).Images[0]);

        Prompt plain = Encode(Plain, "Where is it?", Photo, Other);
        Assert.Equal(plain.Ids, second.Ids);
        for (int i = 0; i < 2; i++) Assert.Equal(plain.Images[i].Values, second.Images[i].Values);
    }

    [Fact]
    public void A_picture_that_cannot_be_read_is_an_error_every_time()
    {
        PromptEncoder remembering = Plain.Remembering();
        for (int i = 0; i < 2; i++) Assert.Throws<InputException>(() => Encode(remembering, "What?", "no-such-picture.png"));
    }

    private static Prompt Encode(PromptEncoder encoder, string question, params string[] files) =>
        encoder.Encode([new ChatMessage(ChatRole.User, [.. files.Select(file => new ImagePart(ImageSource.FromFile(file))), new TextPart(question)])], addGenerationPrompt: true);
}
