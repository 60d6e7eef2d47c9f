using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class PaddedPictureTests
{
    private static readonly string Wide = Goldens.Path("images/photo_100x60.bmp"), Square = Goldens.Path("images/exact_112x112.png"), Line = Goldens.Path("images/line_300x1.png");

    private static readonly PromptEncoder Plain = PromptEncoder.Load(Goldens.DemoPath("model")), Padding = Plain with { PadToSquare = true };

    [Theory]
    [InlineData(3, 2, 0, 0)]
    [InlineData(2, 3, 0, 0)]
    [InlineData(2, 5, 1, 0)]
    [InlineData(7, 2, 0, 2)]
    [InlineData(4, 4, 0, 0)]
    public void A_picture_is_put_into_the_middle_of_a_black_square_and_an_odd_pixel_goes_right_or_below(int width, int height, int left, int top)
    {
        byte[] pixels = [.. Enumerable.Range(1, width * height * 3).Select(value => (byte)value)];
        RgbImage padded = new RgbImage(width, height, pixels).PaddedToSquare();
        int side = Math.Max(width, height);
        Assert.Equal((side, side), (padded.Width, padded.Height));
        for (int row = 0; row < side; row++)
        {
            for (int column = 0; column < side; column++)
            {
                bool inside = row >= top && row < top + height && column >= left && column < left + width;
                int from = ((row - top) * width + column - left) * 3;
                Assert.Equal(inside ? pixels[from..(from + 3)] : [0, 0, 0], padded.Pixels.AsSpan((row * side + column) * 3, 3).ToArray());
            }
        }
    }

    [Fact]
    public void A_padding_encoder_shows_the_square_and_leaves_square_pictures_as_they_are()
    {
        float[] expected = ImagePreprocessor.Load(Goldens.DemoPath("model")).Process(ImageDecoder.Decode(ImageSource.FromFile(Wide)).PaddedToSquare()).Values;
        Assert.Equal(expected, Encode(Padding, Wide).Images[0].Values);
        Assert.NotEqual(expected, Encode(Plain, Wide).Images[0].Values);
        Assert.Equal(Encode(Plain, Wide).Ids, Encode(Padding, Wide).Ids);
        Assert.Equal(Encode(Plain, Square).Images[0].Values, Encode(Padding, Square).Images[0].Values);
    }

    [Fact]
    public void Parts_of_a_picture_are_padded_too()
    {
        ImageSource part = ImageSource.FromFile(Wide) with { Region = new PictureRegion(10, 5, 50, 20) };
        float[] expected = ImagePreprocessor.Load(Goldens.DemoPath("model")).Process(ImageDecoder.Decode(ImageSource.FromFile(Wide)).Crop(10, 5, 50, 20).PaddedToSquare()).Values;
        Assert.Equal(expected, Padding.EncodeText("", [part]).Images[0].Values);

        PromptEncoder scanning = Padding with { PanAndScan = new PanAndScan(16, 2, 1.2) };
        Prompt prompt = Encode(scanning, Wide);
        Assert.Equal(3, prompt.Images.Count);
        Assert.Equal(Encode(Padding, Wide).Images[0].Values, prompt.Images[0].Values);
    }

    // A line of 60,000 x 1 pixels is small, its square has 3.6 billion.
    [Fact]
    public void A_square_above_the_limit_of_pixels_is_refused_before_it_takes_memory()
    {
        InputException error = Assert.Throws<InputException>(() => Encode(Padding with { MaxImagePixels = 89_999 }, Line));
        Assert.Contains("300 x 1 pixels has 90000 pixels when it is padded to a square, more than the limit of 89999", error.Message, StringComparison.Ordinal);
        Assert.Single(Encode(Padding with { MaxImagePixels = 90_000 }, Line).Images);
    }

    private static Prompt Encode(PromptEncoder encoder, string file) =>
        encoder.Encode([new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(file)), new TextPart("What?")])], addGenerationPrompt: true);
}
